//! Nothing: what is wanted is the dependency.
