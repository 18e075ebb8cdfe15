//! Splitter and walker against simple references, over documents, cuts and damage at random.

mod corpus;
mod split;
mod walk;
