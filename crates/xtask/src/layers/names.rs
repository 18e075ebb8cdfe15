//! What the items of one module define, import and name, wherever the name stands: in `use` items,
//! in code, in the tokens of macros, and in texts of attributes that are paths (serde's `with`).

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{
    Attribute, ImplItemFn, Item, ItemImpl, ItemUse, Macro, Meta, Path, Type, UseTree, VisRestricted,
};

use super::tree::{Meaning, Named, is_for_tests};

/// Gathers the names of one module.
#[derive(Debug, Default)]
pub(super) struct Names {
    module: Vec<String>,
    pub(super) meanings: BTreeMap<String, Meaning>,
    pub(super) globs: Vec<Vec<String>>,
    pub(super) named: Vec<Named>,
    pub(super) words: BTreeSet<(usize, String)>,
    /// Types that methods are written for.
    pub(super) implemented: BTreeSet<String>,
}

impl Names {
    pub(super) fn new(module: &[String]) -> Self {
        Self { module: module.to_vec(), ..Self::default() }
    }

    /// Takes an item of the module itself.
    pub(super) fn take(&mut self, item: &Item) {
        if let Some(name) = defined(item) {
            self.meanings.entry(name).or_insert(Meaning::Defined);
        }
        if let Item::Use(item) = item {
            for leaf in leaves(item) {
                match leaf.name {
                    None => self.globs.push(leaf.path),
                    Some(name) => {
                        self.meanings.entry(name).or_insert(Meaning::Imported(leaf.path));
                    }
                }
            }
        }
        self.visit_item(item);
    }

    fn name(&mut self, segments: Vec<String>, line: usize) {
        self.named.push(Named { within: self.module.clone(), segments, line });
    }

    /// Looks for paths in what is no syntax yet.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.scanned(&mut path, line);
                        line = ident.span().start().line;
                    }
                    self.visit_ident(&ident);
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => {
                    colons += 1;
                }
                TokenTree::Group(group) => {
                    self.scanned(&mut path, line);
                    colons = 0;
                    self.scan(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.scanned(&mut path, line);
                    colons = 0;
                }
            }
        }
        self.scanned(&mut path, line);
    }

    fn scanned(&mut self, path: &mut Vec<String>, line: usize) {
        let path = std::mem::take(path);
        if 1 < path.len() {
            self.name(path, line);
        }
    }

    /// Texts of an attribute that are paths into this crate.
    fn scan_texts(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.scan_texts(group.stream()),
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    let text = text.trim_matches('"');
                    if text.starts_with("crate::") || text.starts_with("super::") {
                        let segments = text.split("::").map(str::to_owned).collect();
                        self.name(segments, literal.span().start().line);
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if item.trait_.is_none()
            && let Type::Path(of) = &*item.self_ty
            && let Some(last) = of.path.segments.last()
        {
            self.implemented.insert(last.ident.to_string());
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for leaf in leaves(item) {
            for word in &leaf.path {
                self.words.insert((leaf.line, word.clone()));
            }
            self.name(leaf.path, leaf.line);
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none()
            && let Some(first) = path.segments.first()
        {
            let segments: Vec<_> =
                path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            if 1 < segments.len() {
                self.name(segments, first.ident.span().start().line);
            }
        }
        visit::visit_path(self, path);
    }

    /// Says who may name it, and names nobody.
    fn visit_vis_restricted(&mut self, _visibility: &'ast VisRestricted) {}

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if !attribute.path().is_ident("doc")
            && let Meta::List(list) = &attribute.meta
        {
            self.scan_texts(list.tokens.clone());
        }
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.visit_path(&called.path);
        self.scan(called.tokens.clone());
    }

    fn visit_ident(&mut self, ident: &'ast Ident) {
        self.words.insert((ident.span().start().line, ident.to_string()));
    }
}

/// One thing that a `use` item imports.
struct Leaf {
    /// What it is called here; `None` for `*`.
    name: Option<String>,
    path: Vec<String>,
    line: usize,
}

fn leaves(item: &ItemUse) -> Vec<Leaf> {
    let mut found = Vec::new();
    if item.leading_colon.is_none() {
        descend(&item.tree, &mut Vec::new(), &mut found);
    }
    found
}

fn descend(tree: &UseTree, above: &mut Vec<String>, found: &mut Vec<Leaf>) {
    match tree {
        UseTree::Path(path) => {
            above.push(path.ident.to_string());
            descend(&path.tree, above, found);
            above.pop();
        }
        UseTree::Group(group) => {
            group.items.iter().for_each(|tree| descend(tree, above, found));
        }
        UseTree::Glob(glob) => found.push(Leaf {
            name: None,
            path: above.clone(),
            line: glob.star_token.span.start().line,
        }),
        UseTree::Name(name) => found.push(leaf(above, &name.ident, &name.ident)),
        UseTree::Rename(rename) => found.push(leaf(above, &rename.ident, &rename.rename)),
    }
}

fn leaf(above: &[String], ident: &Ident, called: &Ident) -> Leaf {
    let mut path = above.to_vec();
    let mut called = called.to_string();
    if ident == "self" {
        if let Some(last) = path.last()
            && called == "self"
        {
            called.clone_from(last);
        }
    } else {
        path.push(ident.to_string());
    }
    Leaf { name: Some(called), path, line: ident.span().start().line }
}

/// The name that an item defines.
fn defined(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// The attributes of an item.
pub(super) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
