//! Decides about the Pod's shape, part by part.

use super::{Choice, DecidedBy, Shape, first};

/// The first of each part, and its source.
pub(super) fn decide(
    sources: &[(DecidedBy, &Choice); 3],
) -> (Shape, Vec<(&'static str, DecidedBy)>) {
    let all = sources.iter().map(|(_, choice)| choice.shape.clone());
    let shape = all.fold(Shape::default(), Shape::or);
    let of = |name| {
        let has = |choice: &Choice| choice.shape.parts().iter().any(|(part, _)| *part == name);
        first(sources, |choice| has(choice).then_some(())).1
    };
    let by = shape.parts().into_iter().map(|(name, _)| (name, of(name))).collect();
    (shape, by)
}
