//! The text of an MJCF file and of the files that it includes (`<include file="..."/>`).
//!
//! As in MuJoCo, the root element of an included file is dropped and what it holds takes the place of `<include>`; paths
//! start at the folder of the outermost file; a file is included at most once.

use super::bounded_read::read_text;
use super::document::parse_xml;
use crate::error::TaskError;
use roxmltree::{Document, Node};
use std::path::{Component, Path, PathBuf};

/// A model consists of at most this many files.
const MAX_FILES: usize = 32;

/// The files of one model; the first one is the outermost.
pub(super) struct MjcfSources {
    files: Vec<(PathBuf, String)>,
}

impl MjcfSources {
    /// Reads the files that a text includes.
    ///
    /// # Errors
    /// Fails at an `<include>` whose file is not there, lies outside of the folder, or is included twice.
    pub fn read(path: &Path, text: &str) -> Result<MjcfSources, TaskError> {
        // Only a root folder has no parent, and it is no file with a text.
        let dir = path.parent().unwrap_or(Path::new("."));
        let mut files = vec![(path.to_owned(), text.to_owned())];
        let mut next = 0;
        while let Some((path, text)) = files.get(next) {
            let mut found = Vec::new();
            let xml = parse_xml(path, text)?;
            for include in xml.descendants().filter(|n| n.has_tag_name("include")) {
                let target = included_path(dir, path, &xml, include)?;
                let known = (files.iter().map(|(known, _)| known)).chain(found.iter());
                let known = known.filter(|known| **known == target).count();
                if known > 0 || files.len() + found.len() >= MAX_FILES {
                    let expected = format!("a file that is not included yet, at most {MAX_FILES}");
                    return Err(malformed(path, &xml, include, &expected));
                }
                if !target.is_file() {
                    return Err(malformed(path, &xml, include, "a file that is there"));
                }
                found.push(target);
            }
            for target in found {
                let text = read_text(&target)?;
                files.push((target, text));
            }
            next += 1;
        }
        Ok(MjcfSources { files })
    }

    /// Parses the files.
    pub fn parse(&self) -> Result<Vec<Document<'_>>, TaskError> {
        (self.files.iter())
            .map(|(path, text)| parse_xml(path, text))
            .collect()
    }

    /// Path of the `index`-th file.
    pub fn path(&self, index: usize) -> &Path {
        &self.files[index].0
    }

    /// Index of the file that an `<include>` names.
    pub fn included(&self, include: Node<'_, '_>) -> Option<usize> {
        let dir = self.path(0).parent().unwrap_or(Path::new("."));
        let target = dir.join(include.attribute("file")?);
        self.files.iter().position(|(path, _)| *path == target)
    }
}

fn malformed(path: &Path, xml: &Document<'_>, node: Node<'_, '_>, expected: &str) -> TaskError {
    TaskError::Malformed {
        path: path.to_owned(),
        line: xml.text_pos_at(node.range().start).row as usize,
        found: match node.attribute("file") {
            Some(file) => format!("<include file=\"{file}\">"),
            None => "<include> without `file`".into(),
        },
        expected: expected.to_owned(),
    }
}

fn included_path(
    dir: &Path,
    path: &Path,
    xml: &Document<'_>,
    include: Node<'_, '_>,
) -> Result<PathBuf, TaskError> {
    let expected = "a file in the folder of the model";
    let file =
        (include.attribute("file")).ok_or_else(|| malformed(path, xml, include, expected))?;
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !Path::new(file).components().all(inside) {
        return Err(malformed(path, xml, include, expected));
    }
    Ok(dir.join(file))
}
