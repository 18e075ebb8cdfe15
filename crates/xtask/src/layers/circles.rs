//! Circles in a graph of names.

use std::collections::{BTreeMap, BTreeSet};

type Graph<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// The groups of which each member leads to each other one.
pub(super) fn circles(pairs: &BTreeSet<(String, String)>) -> Vec<BTreeSet<&str>> {
    let mut graph = Graph::new();
    for (from, to) in pairs {
        graph.entry(from).or_default().insert(to);
    }
    let reached: BTreeMap<_, _> = graph.keys().map(|from| (*from, reach(&graph, from))).collect();
    let mut found: Vec<BTreeSet<&str>> = Vec::new();
    for (from, there) in &reached {
        if !there.contains(from) || found.iter().any(|circle| circle.contains(from)) {
            continue;
        }
        let back = |to: &&&str| reached.get(**to).is_some_and(|back| back.contains(from));
        found.push(there.iter().filter(back).copied().collect());
    }
    found
}

/// Everything that one leads to.
fn reach<'a>(graph: &Graph<'a>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = graph.get(from).into_iter().flatten().copied().collect();
    while let Some(at) = next.pop() {
        if reached.insert(at) {
            next.extend(graph.get(at).into_iter().flatten());
        }
    }
    reached
}
