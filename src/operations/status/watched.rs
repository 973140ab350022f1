//! The objects that `status --watch` and `ui` follow, each kept once: a namespace may have
//! thousands.

use serde_json::Value;

use crate::kubernetes::Sight;

/// The position of the kind, the namespace, the name.
type Place = (usize, String, String);

/// Objects in the order of their places.
#[derive(Debug, Default)]
pub(super) struct Watched {
    places: Vec<Place>,
    objects: Vec<Value>,
}

impl Watched {
    pub(super) fn objects(&self) -> &[Value] {
        &self.objects
    }

    /// The objects of one kind.
    pub(super) fn of_kind(&self, kind: usize) -> &[Value] {
        let start = self.places.partition_point(|place| place.0 < kind);
        let end = self.places.partition_point(|place| place.0 <= kind);
        &self.objects[start..end]
    }

    /// Takes what was seen of a kind.
    pub(super) fn take(&mut self, kind: usize, sight: Sight) {
        match sight {
            Sight::All(all) => {
                let start = self.places.partition_point(|place| place.0 < kind);
                let end = self.places.partition_point(|place| place.0 <= kind);
                let mut all: Vec<_> =
                    all.into_iter().map(|object| (place(kind, &object), object)).collect();
                all.sort_unstable_by(|one, other| one.0.cmp(&other.0));
                let (places, objects): (Vec<_>, Vec<_>) = all.into_iter().unzip();
                self.places.splice(start..end, places);
                self.objects.splice(start..end, objects);
            }
            Sight::Set(object) => {
                let place = place(kind, &object);
                match self.places.binary_search(&place) {
                    Ok(at) => self.objects[at] = object,
                    Err(at) => {
                        self.places.insert(at, place);
                        self.objects.insert(at, object);
                    }
                }
            }
            Sight::Gone(object) => {
                if let Ok(at) = self.places.binary_search(&place(kind, &object)) {
                    self.places.remove(at);
                    self.objects.remove(at);
                }
            }
        }
    }
}

fn place(kind: usize, object: &Value) -> Place {
    let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
    (kind, text("namespace"), text("name"))
}

/// Without what no row is made of, which is up to half of an object.
pub(super) fn slim(mut sight: Sight) -> Sight {
    let slim = |object: &mut Value| {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
    };
    match &mut sight {
        Sight::All(all) => all.iter_mut().for_each(slim),
        Sight::Set(object) | Sight::Gone(object) => slim(object),
    }
    sight
}

/// The same of those objects that count: another one is gone.
pub(super) fn only(sight: Sight, counts: impl Fn(&Value) -> bool) -> Sight {
    match sight {
        Sight::All(mut all) => {
            all.retain(|object| counts(object));
            Sight::All(all)
        }
        Sight::Set(object) if !counts(&object) => Sight::Gone(object),
        other => other,
    }
}

/// A copy, as far as objects count.
pub(super) fn copied(sight: &Sight, counts: impl Fn(&Value) -> bool) -> Sight {
    match sight {
        Sight::All(all) => {
            Sight::All(all.iter().filter(|object| counts(object)).cloned().collect())
        }
        other => only(other.clone(), counts),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, version: u32) -> Value {
        json!({ "metadata": { "namespace": "n", "name": name, "managedFields": [] }, "v": version })
    }

    fn names(watched: &[Value]) -> Vec<String> {
        let name = |o: &Value| format!("{}{}", o["metadata"]["name"].as_str().unwrap(), o["v"]);
        watched.iter().map(name).collect()
    }

    #[test]
    fn objects_stay_in_order_as_they_change() {
        let mut watched = Watched::default();
        watched.take(1, Sight::All(vec![object("b", 1), object("a", 1)]));
        watched.take(0, Sight::All(vec![object("z", 1)]));
        watched.take(2, Sight::Set(object("c", 1)));
        watched.take(1, Sight::Set(object("a", 2)));
        watched.take(0, Sight::Set(object("y", 1)));
        assert_eq!(names(watched.objects()), ["y1", "z1", "a2", "b1", "c1"]);
        watched.take(1, Sight::Gone(object("b", 3)));
        watched.take(1, Sight::Gone(object("none", 3)));
        watched.take(0, Sight::All(vec![object("x", 4)]));
        assert_eq!(names(watched.objects()), ["x4", "a2", "c1"]);
        assert_eq!(names(watched.of_kind(1)), ["a2"]);
    }

    #[test]
    fn object_that_no_longer_counts_is_gone() {
        let sight = slim(Sight::Set(object("a", 1)));
        let Sight::Set(kept) = copied(&sight, |_| true) else { panic!() };
        assert_eq!(kept, json!({ "metadata": { "namespace": "n", "name": "a" }, "v": 1 }));
        assert!(matches!(only(sight, |_| false), Sight::Gone(_)));
        let all = Sight::All(vec![object("a", 1), object("b", 1)]);
        let is_b = |object: &Value| object["metadata"]["name"] == "b";
        for some in [copied(&all, is_b), only(all, is_b)] {
            let Sight::All(some) = some else { panic!() };
            assert_eq!(names(&some), ["b1"]);
        }
    }
}
