//! XML of an MJCF file with what it includes and its default classes: a mistake in an element or attribute is reported with
//! file, line, what was found and what was expected.

use super::notices::Notices;
use super::rules::{FileKind, check_file};
use super::sources::MjcfSources;
use crate::error::TaskError;
use roxmltree::{Document, Node};
use std::collections::BTreeMap;
use std::path::Path;

/// Attribute values that a default class gives to elements of a tag.
type DefaultClass = BTreeMap<String, BTreeMap<String, String>>;

/// The parsed files of one model.
pub(super) struct MjcfDocument<'a> {
    sources: &'a MjcfSources,
    docs: &'a [Document<'a>],
    /// Classes by name.
    classes: BTreeMap<String, DefaultClass>,
}

/// An element of a file.
#[derive(Clone, Copy)]
pub(super) struct MjcfElement<'f, 'a> {
    file: &'f MjcfDocument<'a>,
    node: Node<'a, 'a>,
}

/// Deepest accepted nesting of bodies.
pub(super) const MAX_DEPTH: usize = 64;
/// Largest absolute value of a number: products of a few of them stay finite.
const MAX_NUMBER: f64 = 1e9;
/// A file has at most this many default classes.
const MAX_CLASSES: usize = 256;

/// Parses a text. Document types are refused, so nothing is expanded.
pub(super) fn parse_xml<'a>(path: &Path, text: &'a str) -> Result<Document<'a>, TaskError> {
    Document::parse(text).map_err(|error| {
        let pos = error.pos();
        let line = pos.row as usize;
        let found = text
            .lines()
            .nth(line.saturating_sub(1))
            .unwrap_or("")
            .trim();
        let short: String = found.chars().take(80).collect();
        TaskError::Malformed {
            path: path.to_owned(),
            line,
            found: format!("`{short}` at column {}", pos.col),
            expected: format!("well-formed XML ({error})"),
        }
    })
}

impl<'a> MjcfDocument<'a> {
    /// Checks that everything in the files is known ([`super::rules`]) and reads the default classes as robosuite does:
    /// those directly in the first `<default>` of the file, for elements that name their class. Values outside of a class
    /// have no effect, which is said.
    pub fn new(
        sources: &'a MjcfSources,
        docs: &'a [Document<'a>],
        kind: FileKind,
        notices: &Notices,
    ) -> Result<MjcfDocument<'a>, TaskError> {
        let mut file = MjcfDocument {
            sources,
            docs,
            classes: BTreeMap::new(),
        };
        let root = file.root();
        if root.tag() != "mujoco" {
            let found = format!("<{}>", root.tag());
            return Err(file.fail(root.node, found, "<mujoco>"));
        }
        let classes = file.read_classes(notices)?;
        file.classes = classes;
        check_file(&file.root(), kind, notices)?;
        Ok(file)
    }

    fn read_classes(&self, notices: &Notices) -> Result<BTreeMap<String, DefaultClass>, TaskError> {
        let mut classes = BTreeMap::new();
        let mut sections = self.root().children().filter(|el| el.tag() == "default");
        let Some(section) = sections.next() else {
            return Ok(classes);
        };
        if let Some(second) = sections.next() {
            return Err(second.fail(
                "a second <default>",
                "one, as robosuite reads only the first",
            ));
        }
        for class in section.children() {
            if class.tag() != "default" {
                let tag = class.tag();
                let sentence = format!(
                    "<{tag}> of the unnamed <default> has no effect, as in LIBERO: robosuite gives defaults only to \
                     elements that name their class"
                );
                notices.say(&class.place(), &sentence);
                continue;
            }
            let name = (class.own("class"))
                .ok_or_else(|| class.fail("no `class`", "the name of the class"))?;
            let mut values = DefaultClass::new();
            for el in class.children() {
                if el.tag() == "default" {
                    return Err(el.fail(
                        "a class in a class",
                        "classes one level deep, as robosuite reads them",
                    ));
                }
                let attributes =
                    (el.node.attributes()).map(|a| (a.name().to_owned(), a.value().to_owned()));
                // The last element of a tag is the one that robosuite keeps.
                values.insert(el.tag().to_owned(), attributes.collect());
            }
            classes.insert(name.to_owned(), values);
            if classes.len() > MAX_CLASSES {
                let expected = format!("at most {MAX_CLASSES} default classes");
                return Err(class.fail("another class", &expected));
            }
        }
        Ok(classes)
    }

    /// The root element.
    pub fn root(&self) -> MjcfElement<'_, 'a> {
        MjcfElement {
            file: self,
            node: self.docs[0].root_element(),
        }
    }

    /// Index of the file of a node.
    fn index_of(&self, node: Node<'_, '_>) -> usize {
        let is_of =
            |doc: &Document<'_>| std::ptr::eq(doc.input_text(), node.document().input_text());
        // Every node is of one of the files.
        self.docs.iter().position(is_of).unwrap_or_default()
    }

    fn line(&self, node: Node<'_, '_>) -> usize {
        node.document().text_pos_at(node.range().start).row as usize
    }

    fn fail(&self, node: Node<'_, '_>, found: String, expected: &str) -> TaskError {
        TaskError::Malformed {
            path: self.sources.path(self.index_of(node)).to_owned(),
            line: self.line(node),
            found,
            expected: expected.to_owned(),
        }
    }
}

impl PartialEq for MjcfElement<'_, '_> {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl<'f, 'a> MjcfElement<'f, 'a> {
    /// Tag.
    pub fn tag(&self) -> &'a str {
        self.node.tag_name().name()
    }

    /// An error at this element.
    pub fn fail(&self, found: impl Into<String>, expected: &str) -> TaskError {
        let element = match self.node.attribute("name") {
            Some(name) => format!("<{}> `{name}`", self.tag()),
            None => format!("<{}>", self.tag()),
        };
        let found = format!("{} in {element}", found.into());
        self.file.fail(self.node, found, expected)
    }

    /// The error of an element that is neither used nor known to be without effect.
    pub fn refused(&self) -> TaskError {
        let inside = (self.node.parent_element()).map_or("", |parent| parent.tag_name().name());
        let found = format!("<{}> in <{inside}>", self.tag());
        let expected =
            "elements of MuJoCo 2.3.7 that are simulated here (tasks/src/mjcf/rules.rs lists them)";
        self.file.fail(self.node, found, expected)
    }

    /// File and line, for notices.
    pub fn place(&self) -> String {
        let path = self.file.sources.path(self.file.index_of(self.node));
        format!("{}:{}", path.display(), self.file.line(self.node))
    }

    /// Elements inside, in order; those of an included file in the place of `<include>`.
    pub fn children(&self) -> std::vec::IntoIter<MjcfElement<'f, 'a>> {
        let mut out = Vec::new();
        self.collect_children(self.node, 0, &mut out);
        out.into_iter()
    }

    fn collect_children(&self, node: Node<'a, 'a>, depth: usize, out: &mut Vec<Self>) {
        let file = self.file;
        for node in node.children().filter(Node::is_element) {
            let included = if node.has_tag_name("include") && depth < MAX_DEPTH {
                file.sources.included(node)
            } else {
                None
            };
            match included.and_then(|index| file.docs.get(index)) {
                Some(doc) => self.collect_children(doc.root_element(), depth + 1, out),
                None => out.push(MjcfElement { file, node }),
            }
        }
    }

    /// Elements inside with a tag.
    pub fn all<'t>(
        &self,
        tag: &'t str,
    ) -> impl Iterator<Item = MjcfElement<'f, 'a>> + use<'f, 'a, 't> {
        self.children().filter(move |e| e.tag() == tag)
    }

    /// Names and values of the attributes, those of the class included.
    pub fn attributes(&self) -> Result<Vec<(&'f str, &'f str)>, TaskError>
    where
        'a: 'f,
    {
        let own = self.node.attributes().map(|a| (a.name(), a.value()));
        let mut all: Vec<(&'f str, &'f str)> = own.collect();
        if let Some(values) = self.class_values()? {
            let given = (values.iter()).map(|(name, value)| (name.as_str(), value.as_str()));
            let new: Vec<_> = given.filter(|(name, _)| self.own(name).is_none()).collect();
            all.extend(new);
        }
        Ok(all)
    }

    /// Values that the class of the element gives to its tag.
    fn class_values(&self) -> Result<Option<&'f BTreeMap<String, String>>, TaskError> {
        let Some(name) = self.node.attribute("class") else {
            return Ok(None);
        };
        let class = self.file.classes.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.file.classes.keys().map(String::as_str).collect();
            let expected = format!("a default class of the file: {}", known.join(", "));
            self.fail(format!("class `{name}`"), &expected)
        })?;
        Ok(class.get(self.tag()))
    }

    /// An attribute as written here.
    pub fn own(&self, name: &str) -> Option<&'a str> {
        self.node.attribute(name)
    }

    /// An attribute as written here or given by the class.
    pub fn get(&self, name: &str) -> Result<Option<&'f str>, TaskError>
    where
        'a: 'f,
    {
        if let Some(value) = self.node.attribute(name) {
            return Ok(Some(value));
        }
        let values = self.class_values()?;
        Ok(values
            .and_then(|values| values.get(name))
            .map(String::as_str))
    }

    /// A required attribute, as written or given by the class.
    pub fn need(&self, name: &str) -> Result<&'f str, TaskError>
    where
        'a: 'f,
    {
        self.get(name)?
            .ok_or_else(|| self.fail(format!("no `{name}`"), "that attribute"))
    }

    /// Numbers of an attribute, at most `most` of them.
    pub fn numbers(&self, name: &str, most: usize) -> Result<Option<Vec<f64>>, TaskError> {
        let Some(text) = self.get(name)? else {
            return Ok(None);
        };
        let mut out = Vec::new();
        for word in text.split_ascii_whitespace() {
            match word.parse::<f64>() {
                Ok(x) if x.abs() <= MAX_NUMBER && out.len() < most => out.push(x),
                _ => {
                    let short: String = text.chars().take(60).collect();
                    let expected = format!("at most {most} finite numbers up to 1e9");
                    return Err(self.fail(format!("{name}=\"{short}\""), &expected));
                }
            }
        }
        Ok(Some(out))
    }

    /// Exactly `N` numbers, if the attribute is there.
    pub fn vector<const N: usize>(&self, name: &str) -> Result<Option<[f64; N]>, TaskError> {
        let Some(found) = self.numbers(name, N)? else {
            return Ok(None);
        };
        match <[f64; N]>::try_from(found) {
            Ok(v) => Ok(Some(v)),
            Err(found) => Err(self.fail(
                format!("{name} of {} numbers", found.len()),
                &format!("{N} numbers"),
            )),
        }
    }

    /// One number.
    pub fn number(&self, name: &str, default: f64) -> Result<f64, TaskError> {
        Ok(self.vector::<1>(name)?.map_or(default, |v| v[0]))
    }

    /// A whole number.
    pub fn whole(&self, name: &str, default: i64) -> Result<i64, TaskError> {
        match self.get(name)? {
            None => Ok(default),
            Some(text) => text
                .trim()
                .parse()
                .map_err(|_| self.fail(format!("{name}=\"{text}\""), "a whole number")),
        }
    }

    /// `true` or `false`.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, TaskError> {
        match self.get(name)? {
            None | Some("auto") => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(text) => Err(self.fail(format!("{name}=\"{text}\""), "true or false")),
        }
    }
}
