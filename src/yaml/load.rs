//! Builds kubectl's values from the parser's events.
//!
//! kubectl reads YAML through sigs.k8s.io/yaml. It first builds a tree of nodes (go-yaml 2) and
//! then walks the tree from its root: a repeated key replaces the earlier one, and so do keys from
//! a merge key, at its position. serde's data model cannot express this, nor quotes, so the events
//! of serde-saphyr's parser are used here.

use std::{borrow::Cow, collections::HashMap};

use serde_json::{Map, Value};
use serde_saphyr::granit_parser::{
    ErrorKind, Event, Marker, Options, Parser, ScalarStyle, ScanError, StructureStyle, Tag, options,
};

use super::scalar::Scalar;

/// Maximum nesting of collections, including aliases. Kubernetes' own objects have less than 100
/// levels; the recursion fits well into a thread's stack.
const DEEPEST: usize = 512;
/// Approximate memory of a node in addition to its text.
const NODE: usize = 128;
/// Bytes that aliases may add to any document; kubectl allows 400,000 nodes.
const LEAST_COPIED: usize = 400_000 * NODE;
/// What aliases may add to a larger document, as a multiple of its length.
const MOST_COPIED: usize = 16;

/// The error, and its line and column from 1.
#[derive(Debug)]
pub(super) struct YamlFault {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) what: String,
}

impl YamlFault {
    fn new(at: Marker, what: impl Into<String>) -> Self {
        Self { line: at.line().max(1), column: at.col() + 1, what: what.into() }
    }
}

impl From<ScanError> for YamlFault {
    fn from(error: ScanError) -> Self {
        let what = match error.kind() {
            ErrorKind::RecursionLimitExceeded => format!("this is deeper than {DEEPEST} levels"),
            kind => kind.to_string(),
        };
        Self::new(*error.marker(), what)
    }
}

/// A node of the document, and its position.
struct YamlNode<'a> {
    kind: NodeKind<'a>,
    at: Marker,
}

enum NodeKind<'a> {
    /// `plain`: neither quoted nor tagged, so that its text shows its type.
    Scalar { text: Cow<'a, str>, tag: Option<Box<str>>, plain: bool },
    /// Another node, by its index.
    Alias(usize),
    /// Nodes, by their indices.
    Sequence(Vec<usize>),
    /// Keys and values, alternating.
    Mapping(Vec<usize>),
}

/// Parses the first document of `text`, as kubectl parses text between two markers.
pub(super) fn load(text: &str) -> Result<Value, YamlFault> {
    let nodes = nodes(text)?;
    if nodes.is_empty() {
        return Ok(Value::Null);
    }
    let allowance = LEAST_COPIED + text.len().saturating_mul(MOST_COPIED);
    let mut reader = Reader { nodes: &nodes, allowance, aliases: Vec::new() };
    reader.value(0, 0)
}

/// Special behavior of libyaml, which go-yaml inherited.
fn options() -> Options {
    options! {
        bom_inside_document_as_content: true,
        block_scalar_eof_without_line_feed: true,
        emit_unresolved_aliases: true,
        emit_comments: false,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    }
}

/// All nodes; the first is the root.
fn nodes(text: &str) -> Result<Vec<YamlNode<'_>>, YamlFault> {
    let mut nodes: Vec<YamlNode<'_>> = Vec::new();
    let mut anchors = HashMap::new();
    // The open collections, and whether each is a flow collection.
    let mut open: Vec<(usize, bool)> = Vec::new();
    for read in Parser::new_from_str_with_options(text, options()) {
        let (event, span) = read?;
        let at = span.start;
        let (kind, anchor, is_block) = match event {
            Event::Scalar(word, style, anchor, tag) => {
                let is_in_brackets = open.last().is_some_and(|(_, is_flow)| *is_flow);
                if style == ScalarStyle::Plain && is_in_brackets && ends_in_colon(text, span.end) {
                    let what = "kubectl reads this colon as part of the word; put a blank after it";
                    return Err(YamlFault::new(span.end, what));
                }
                let (tag, plain) = explicit(tag.as_deref(), style);
                (NodeKind::Scalar { text: word, tag, plain }, anchor, open.is_empty())
            }
            Event::SequenceStart(style, anchor, _) => {
                (NodeKind::Sequence(Vec::new()), anchor, style == StructureStyle::Block)
            }
            Event::MappingStart(style, anchor, _) => {
                (NodeKind::Mapping(Vec::new()), anchor, style == StructureStyle::Block)
            }
            Event::Alias(anchor) => {
                let target = anchors.get(&anchor);
                let target =
                    target.ok_or_else(|| YamlFault::new(at, "this alias has no anchor"))?;
                (NodeKind::Alias(*target), 0, false)
            }
            Event::UnresolvedAlias(name) => {
                return Err(YamlFault::new(
                    at,
                    format!("the alias `*{name}` has no anchor before it"),
                ));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                open.pop();
                continue;
            }
            Event::DocumentEnd => break,
            _ => continue,
        };
        if is_block && is_indented_by_tab(text, at) {
            return Err(YamlFault::new(at, "a tab cannot indent; use blanks"));
        }
        let index = nodes.len();
        if anchor > 0 {
            anchors.insert(anchor, index);
        }
        if let Some(NodeKind::Sequence(members) | NodeKind::Mapping(members)) =
            open.last().map(|(parent, _)| &mut nodes[*parent].kind)
        {
            members.push(index);
        }
        if matches!(kind, NodeKind::Sequence(_) | NodeKind::Mapping(_)) {
            open.push((index, !is_block));
        }
        nodes.push(YamlNode { kind, at });
    }
    Ok(nodes)
}

/// The tag of a scalar, and whether it counts as plain: for a merge key, only `!` does.
fn explicit(tag: Option<&Tag>, style: ScalarStyle) -> (Option<Box<str>>, bool) {
    match tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix())) {
        Some(tag) => {
            let plain = tag == "!";
            (Some(tag.into()), plain)
        }
        None => (None, style == ScalarStyle::Plain),
    }
}

/// Whether a word in a flow collection is followed by `:,` or similar, which is a key in YAML 1.2.
fn ends_in_colon(text: &str, at: Marker) -> bool {
    let rest = at.byte_offset().and_then(|at| text.get(at..)).unwrap_or_default();
    rest.strip_prefix(':').is_some_and(|rest| rest.starts_with([',', '[', ']', '{', '}']))
}

/// Whether a tab precedes the first text on a line of a block.
fn is_indented_by_tab(text: &str, at: Marker) -> bool {
    let before = at.byte_offset().and_then(|at| text.get(..at)).unwrap_or_default();
    let indent = &before[before.rfind('\n').map_or(0, |at| at + 1)..];
    indent.contains('\t') && indent.bytes().all(|byte| b" \t-?".contains(&byte))
}

/// Walks the nodes.
struct Reader<'n> {
    nodes: &'n [YamlNode<'n>],
    /// Bytes that aliases may still add.
    allowance: usize,
    /// The aliases that are being followed.
    aliases: Vec<usize>,
}

impl Reader<'_> {
    fn fault<T>(&self, node: usize, what: impl Into<String>) -> Result<T, YamlFault> {
        Err(YamlFault::new(self.nodes[node].at, what))
    }

    /// The value of a node inside `depth` collections.
    fn value(&mut self, node: usize, depth: usize) -> Result<Value, YamlFault> {
        let nodes = self.nodes;
        if depth > DEEPEST {
            return self.fault(node, format!("this is deeper than {DEEPEST} levels"));
        }
        if !self.aliases.is_empty() {
            self.pay(node)?;
        }
        match &nodes[node].kind {
            NodeKind::Scalar { .. } => {
                self.scalar(node)?.into_value().or_else(|what| self.fault(node, what))
            }
            NodeKind::Sequence(items) => {
                let items = items.iter().map(|item| self.value(*item, depth + 1));
                items.collect::<Result<Vec<_>, _>>().map(Value::from)
            }
            NodeKind::Mapping(_) => {
                let mut members = Map::new();
                self.members(node, &mut members, depth + 1)?;
                Ok(members.into())
            }
            NodeKind::Alias(target) => self.follow(node, |reader| reader.value(*target, depth + 1)),
        }
    }

    /// Calls a function at the target of an alias.
    fn follow<T>(
        &mut self,
        alias: usize,
        read: impl FnOnce(&mut Self) -> Result<T, YamlFault>,
    ) -> Result<T, YamlFault> {
        if self.aliases.contains(&alias) {
            return self.fault(alias, "this alias is within what it stands for");
        }
        self.aliases.push(alias);
        let read = read(self);
        self.aliases.pop();
        read
    }

    /// Counts a node that an alias adds.
    fn pay(&mut self, node: usize) -> Result<(), YamlFault> {
        let text = match &self.nodes[node].kind {
            NodeKind::Scalar { text, .. } => text.len(),
            _ => 0,
        };
        let Some(left) = self.allowance.checked_sub(NODE + text) else {
            let alias = self.aliases.first().copied().unwrap_or(node);
            return self.fault(alias, "aliases expand this document too far");
        };
        self.allowance = left;
        Ok(())
    }

    fn scalar(&self, node: usize) -> Result<Scalar, YamlFault> {
        match &self.nodes[node].kind {
            NodeKind::Scalar { text, tag, plain } => {
                Scalar::resolve(text, tag.as_deref(), *plain).or_else(|what| self.fault(node, what))
            }
            NodeKind::Alias(target) => self.scalar(*target),
            NodeKind::Sequence(_) | NodeKind::Mapping(_) => {
                self.fault(node, "a key is a list or a mapping")
            }
        }
    }

    /// Sets the members of the mapping `node` in `into`, one after the other.
    fn members(
        &mut self,
        node: usize,
        into: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), YamlFault> {
        let nodes = self.nodes;
        let NodeKind::Mapping(members) = &nodes[node].kind else {
            return self.fault(node, "a merge key takes a mapping or a list of mappings");
        };
        for pair in members.chunks_exact(2) {
            let (key, value) = (pair[0], pair[1]);
            if is_merge(&nodes[key]) {
                self.merge(value, into, depth)?;
                continue;
            }
            if !self.aliases.is_empty() {
                self.pay(key)?;
            }
            let name = self.scalar(key)?.into_key().or_else(|what| self.fault(key, what))?;
            let value = self.value(value, depth)?;
            into.insert(name, value);
        }
        Ok(())
    }

    /// The members of a merge key.
    fn merge(
        &mut self,
        node: usize,
        into: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), YamlFault> {
        if depth > DEEPEST {
            return self.fault(node, format!("this is deeper than {DEEPEST} levels"));
        }
        let nodes = self.nodes;
        match &nodes[node].kind {
            // In a list, the first one has priority.
            NodeKind::Sequence(items) => items.iter().rev().try_for_each(|item| {
                if matches!(nodes[*item].kind, NodeKind::Sequence(_)) {
                    return self.members(*item, into, depth + 1);
                }
                self.merge(*item, into, depth + 1)
            }),
            NodeKind::Alias(target) => {
                self.follow(node, |reader| reader.members(*target, into, depth + 1))
            }
            _ => self.members(node, into, depth + 1),
        }
    }
}

fn is_merge(key: &YamlNode<'_>) -> bool {
    const MERGE: &str = "tag:yaml.org,2002:merge";
    matches!(&key.kind, NodeKind::Scalar { text, tag, plain }
        if text == "<<" && (*plain || tag.as_deref() == Some(MERGE)))
}
