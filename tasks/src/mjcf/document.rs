//! XML of an MJCF file with its default classes: a mistake in an element or attribute is reported with file, line, what
//! was found and what was expected.

use crate::error::TaskError;
use roxmltree::{Document, Node};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Attribute values that a default class gives to elements of a tag.
type DefaultClass = BTreeMap<String, BTreeMap<String, String>>;

/// A parsed file.
pub(super) struct MjcfDocument<'a> {
    /// Path of the file, for errors.
    pub path: PathBuf,
    doc: &'a Document<'a>,
    /// Classes by name, inherited values included; the unnamed one is `main`.
    classes: BTreeMap<String, DefaultClass>,
}

/// An element and the class that its ancestors give to their children.
#[derive(Clone)]
pub(super) struct MjcfElement<'f, 'a> {
    file: &'f MjcfDocument<'a>,
    node: Node<'a, 'a>,
    childclass: Option<String>,
}

/// Name of the outermost default class.
const MAIN: &str = "main";
/// Deepest accepted nesting of bodies and of classes.
pub(super) const MAX_DEPTH: usize = 64;
/// Largest absolute value of a number: products of a few of them stay finite.
const MAX_NUMBER: f64 = 1e9;
/// A file has at most this many default classes; each keeps what it inherits.
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
    /// Reads the default classes of a document whose root is `mujoco`.
    pub fn new(path: &Path, doc: &'a Document<'a>) -> Result<MjcfDocument<'a>, TaskError> {
        let mut file = MjcfDocument {
            path: path.to_owned(),
            doc,
            classes: BTreeMap::from([(MAIN.to_owned(), DefaultClass::new())]),
        };
        let root = doc.root_element();
        if root.tag_name().name() != "mujoco" {
            let found = format!("<{}>", root.tag_name().name());
            return Err(file.fail(root, found, "<mujoco>"));
        }
        let mut found = BTreeMap::new();
        for node in root.children().filter(|n| n.has_tag_name("default")) {
            file.read_class(node, &DefaultClass::new(), true, 0, &mut found)?;
        }
        file.classes.extend(found);
        Ok(file)
    }

    fn read_class(
        &self,
        node: Node<'a, 'a>,
        parent: &DefaultClass,
        outermost: bool,
        depth: usize,
        out: &mut BTreeMap<String, DefaultClass>,
    ) -> Result<(), TaskError> {
        if depth > MAX_DEPTH {
            return Err(self.fail(
                node,
                "default".into(),
                "fewer default classes in each other",
            ));
        }
        let mut class = parent.clone();
        for child in node.children().filter(Node::is_element) {
            if !child.has_tag_name("default") {
                let values = class.entry(child.tag_name().name().to_owned()).or_default();
                for a in child.attributes() {
                    values.insert(a.name().to_owned(), a.value().to_owned());
                }
            }
        }
        let name = match node.attribute("class") {
            Some(name) => name,
            None if outermost => MAIN,
            None => return Err(self.fail(node, "<default>".into(), "a `class` name")),
        };
        out.insert(name.to_owned(), class.clone());
        if out.len() > MAX_CLASSES {
            let expected = format!("at most {MAX_CLASSES} default classes");
            return Err(self.fail(node, "another class".into(), &expected));
        }
        for child in node.children().filter(|n| n.has_tag_name("default")) {
            self.read_class(child, &class, false, depth + 1, out)?;
        }
        Ok(())
    }

    /// The root element.
    pub fn root(&self) -> MjcfElement<'_, 'a> {
        MjcfElement {
            file: self,
            node: self.doc.root_element(),
            childclass: None,
        }
    }

    fn fail(&self, node: Node<'_, '_>, found: String, expected: &str) -> TaskError {
        TaskError::Malformed {
            path: self.path.clone(),
            line: self.doc.text_pos_at(node.range().start).row as usize,
            found,
            expected: expected.to_owned(),
        }
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

    /// Elements inside, in order.
    pub fn children(&self) -> impl Iterator<Item = MjcfElement<'f, 'a>> + use<'f, 'a> {
        let childclass = match self.node.attribute("childclass") {
            Some(class) => Some(class.to_owned()),
            None => self.childclass.clone(),
        };
        let file = self.file;
        self.node
            .children()
            .filter(Node::is_element)
            .map(move |node| MjcfElement {
                file,
                node,
                childclass: childclass.clone(),
            })
    }

    /// Elements inside with a tag.
    pub fn all<'t>(
        &self,
        tag: &'t str,
    ) -> impl Iterator<Item = MjcfElement<'f, 'a>> + use<'f, 'a, 't> {
        self.children().filter(move |e| e.tag() == tag)
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
        let class = self
            .node
            .attribute("class")
            .or(self.childclass.as_deref())
            .unwrap_or(MAIN);
        let class = self.file.classes.get(class).ok_or_else(|| {
            let known: Vec<&str> = self.file.classes.keys().map(String::as_str).collect();
            let expected = format!("a default class of the file: {}", known.join(", "));
            self.fail(format!("class `{class}`"), &expected)
        })?;
        Ok(class
            .get(self.tag())
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
