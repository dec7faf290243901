//! `model.safetensors.index.json`: which shard of a folder holds which tensor.

use std::path::{Component, Path};

use serde::Deserialize;
use serde_json::Value;

use super::unique_map::UniqueMap;

/// A parsed index.
#[derive(Debug)]
pub(crate) struct Index {
    /// Each tensor's shard, in the file's order.
    pub(crate) weight_map: Vec<(String, String)>,
    /// The whole text, for what else it says: its values would take many times the memory.
    json: Vec<u8>,
}

#[derive(Deserialize)]
struct Layout {
    weight_map: UniqueMap<String>,
}

impl Index {
    /// Reads an index, or says what was expected and what found.
    pub(crate) fn parse(json: Vec<u8>) -> Result<Self, (String, String)> {
        let invalid = |error: serde_json::Error| {
            ("an index with a `weight_map`".to_owned(), error.to_string())
        };
        let Layout {
            weight_map: UniqueMap(weight_map),
        } = serde_json::from_slice(&json).map_err(invalid)?;
        if let Some((name, shard)) = weight_map.iter().find(|(_, shard)| !stays_inside(shard)) {
            return Err((
                format!("a shard inside the folder for `{name}`"),
                format!("`{shard}`"),
            ));
        }
        if weight_map.is_empty() {
            return Err((
                "a `weight_map` with tensors".to_owned(),
                "an empty one".to_owned(),
            ));
        }
        Ok(Self { weight_map, json })
    }

    /// The shards, each once, in the order in which they are first named.
    pub(crate) fn shards(&self) -> Vec<&str> {
        let mut seen = std::collections::HashSet::new();
        self.weight_map
            .iter()
            .map(|(_, shard)| shard.as_str())
            .filter(|shard| seen.insert(*shard))
            .collect()
    }

    /// The index with other names and more tensors: its text, laid out as transformers does it.
    ///
    /// `added` holds each new tensor's name, shard, elements and bytes; the counts that the index keeps grow with them.
    pub(crate) fn rewritten<'n>(
        &self,
        new_name: impl Fn(&str) -> Option<&'n str>,
        added: &[(&str, &str, u64, u64)],
    ) -> serde_json::Result<Vec<u8>> {
        let mut document: Value = serde_json::from_slice(&self.json)?;
        let renamed = self
            .weight_map
            .iter()
            .map(|(name, shard)| (new_name(name).unwrap_or(name).to_owned(), shard.as_str()));
        let added_places = added
            .iter()
            .map(|&(name, shard, ..)| (name.to_owned(), shard));
        let weight_map = renamed
            .chain(added_places)
            .map(|(name, shard)| (name, Value::from(shard)));
        document["weight_map"] = Value::Object(weight_map.collect());
        if let Some(metadata) = document.get_mut("metadata") {
            grow(
                metadata,
                "total_size",
                added.iter().map(|&(_, _, _, bytes)| bytes).sum(),
            );
            grow(
                metadata,
                "total_parameters",
                added.iter().map(|&(_, _, elements, _)| elements).sum(),
            );
        }
        let mut text = serde_json::to_vec_pretty(&document)?;
        text.push(b'\n');
        Ok(text)
    }
}

/// Adds to a count, if it is there.
fn grow(metadata: &mut Value, key: &str, by: u64) {
    if let Some(count) = metadata.get_mut(key) {
        if let Some(whole) = count.as_u64() {
            *count = Value::from(whole.saturating_add(by));
        } else if let Some(number) = count.as_f64() {
            *count = Value::from(number + by as f64);
        }
    }
}

/// Whether a shard's name leads to a place below the folder: neither absolute, nor through `..`.
pub(crate) fn stays_inside(shard: &str) -> bool {
    let mut components = Path::new(shard).components().peekable();
    components.peek().is_some()
        && components.all(|component| matches!(component, Component::Normal(_)))
}
