//! The `<asset>` part of an MJCF file: meshes, textures and materials by name, with the files that they name.

use super::document::MjcfElement;
use super::material::{MjcfMaterial, MjcfTexture, TextureMapping};
use super::mesh::{MeshFrame, TriMesh};
use super::mesh_formats::read_mesh;
use super::notices::Notices;
use super::pose::unit_quaternion;
use crate::error::TaskError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A mesh asset.
#[derive(Debug, Clone)]
pub(super) struct MeshAsset {
    /// The file.
    pub path: PathBuf,
    /// Its mesh; `None` if the file is missing.
    pub mesh: Option<Arc<TriMesh>>,
}

/// All assets of a file.
#[derive(Debug, Default)]
pub(super) struct MjcfAssets {
    /// File and frame by name.
    mesh_files: BTreeMap<String, (PathBuf, MeshFrame)>,
    /// Meshes that have been read, by name.
    meshes: BTreeMap<String, MeshAsset>,
    textures: BTreeMap<String, MjcfTexture>,
    /// Materials by name.
    pub materials: BTreeMap<String, MjcfMaterial>,
}

/// Colours of a generated texture that states none, RGB 0..1: MuJoCo's defaults.
const DEFAULT_BUILTIN_RGB: [[f64; 3]; 2] = [[0.8; 3], [0.5; 3]];

/// Texture files to take instead of those that a file names, by asset name.
pub(crate) type TextureOverrides = BTreeMap<String, PathBuf>;

impl MjcfAssets {
    /// Reads the assets of a model; `dir` is the folder of its file, where paths start. Meshes are read when a geom needs
    /// them.
    pub fn read(
        root: &MjcfElement,
        dir: &Path,
        overrides: &TextureOverrides,
        notices: &Notices,
    ) -> Result<MjcfAssets, TaskError> {
        let mut assets = MjcfAssets::default();
        for block in root.all("asset") {
            for el in block.children() {
                match el.tag() {
                    "mesh" => assets.mesh_asset(&el, dir)?,
                    "texture" => assets.texture(&el, dir, overrides, notices)?,
                    _ => {}
                }
            }
        }
        for block in root.all("asset") {
            for el in block.all("material") {
                assets.material(&el)?;
            }
        }
        Ok(assets)
    }

    fn mesh_asset(&mut self, el: &MjcfElement, dir: &Path) -> Result<(), TaskError> {
        let file = el.need("file")?;
        let scale = el.vector::<3>("scale")?.unwrap_or([1.0; 3]);
        if scale.contains(&0.0) {
            return Err(el.fail(format!("scale {scale:?}"), "a scale without 0"));
        }
        let turn = (el.vector::<4>("refquat")?)
            .map(|q| unit_quaternion(el, "refquat", q))
            .transpose()?;
        let frame = MeshFrame {
            origin: el.vector::<3>("refpos")?.unwrap_or_default(),
            // A rotation by nothing leaves every bit as it is.
            turn: turn.filter(|turn| turn.angle() > 0.0),
            scale,
        };
        let name = asset_name(el, file)?;
        let known = (self.mesh_files).insert(name, (dir.join(file), frame));
        if known.is_some() {
            return Err(el.fail("a second mesh of that name", "unique names"));
        }
        Ok(())
    }

    /// Reads the mesh of a geom.
    pub fn mesh(
        &mut self,
        el: &MjcfElement,
        name: &str,
        notices: &Notices,
    ) -> Result<MeshAsset, TaskError> {
        if let Some(known) = self.meshes.get(name) {
            return Ok(known.clone());
        }
        let Some((path, frame)) = self.mesh_files.get(name) else {
            return Err(el.fail(format!("mesh `{name}`"), "a mesh of <asset>"));
        };
        let mesh = if path.is_file() {
            Some(Arc::new(read_mesh(path, frame)?))
        } else {
            notices.missing(
                path,
                "the collision shapes of its body are drawn, if there are any",
            );
            None
        };
        let asset = MeshAsset {
            path: path.clone(),
            mesh,
        };
        self.meshes.insert(name.to_owned(), asset.clone());
        Ok(asset)
    }

    fn texture(
        &mut self,
        el: &MjcfElement,
        dir: &Path,
        overrides: &TextureOverrides,
        notices: &Notices,
    ) -> Result<(), TaskError> {
        let mapping = match el.get("type")?.unwrap_or("cube") {
            "2d" => TextureMapping::Planar,
            "cube" => TextureMapping::Cube,
            // On a surface it is drawn as a cube is. Nothing in a scene is behind the walls of its room.
            "skybox" if el.get("file")?.is_some() => TextureMapping::Cube,
            "skybox" => return Ok(()),
            other => return Err(el.fail(format!("type `{other}`"), "2d, cube or skybox")),
        };
        let Some(file) = el.get("file")? else {
            let texture = builtin_texture(el, mapping)?;
            self.textures.insert(el.need("name")?.to_owned(), texture);
            return Ok(());
        };
        if el.get("builtin")?.is_some_and(|kind| kind != "none") {
            return Err(el.fail("`builtin` beside `file`", "one of them"));
        }
        let name = asset_name(el, file)?;
        let mut picture = dir.join(file);
        if let Some(other) = overrides.get(&name) {
            if other.is_file() {
                picture = other.clone();
            } else {
                notices.missing(other, &format!("`{file}` is used"));
            }
        }
        if !picture.is_file() {
            notices.missing(&picture, "a flat colour is drawn");
        }
        (self.textures).insert(name, MjcfTexture::of_picture(mapping, picture));
        Ok(())
    }

    fn material(&mut self, el: &MjcfElement) -> Result<(), TaskError> {
        let default = MjcfMaterial::default();
        let texture = match el.get("texture")? {
            None => None,
            Some(name) => Some(
                self.textures
                    .get(name)
                    .cloned()
                    .ok_or_else(|| el.fail(format!("texture `{name}`"), "a texture of <asset>"))?,
            ),
        };
        let material = MjcfMaterial {
            rgba: el.vector::<4>("rgba")?.unwrap_or(default.rgba),
            specular: el.number("specular", default.specular)?,
            shininess: el.number("shininess", default.shininess)?,
            emission: el.number("emission", default.emission)?,
            reflectance: el.number("reflectance", default.reflectance)?,
            texture,
            repeat: el.vector::<2>("texrepeat")?.unwrap_or(default.repeat),
            uniform: el.flag("texuniform")?.unwrap_or(default.uniform),
        };
        self.materials.insert(el.need("name")?.to_owned(), material);
        Ok(())
    }
}

/// A texture that MuJoCo generates, of one colour or of two in a checkerboard.
fn builtin_texture(el: &MjcfElement, mapping: TextureMapping) -> Result<MjcfTexture, TaskError> {
    let colour = el.vector::<3>("rgb1")?.unwrap_or(DEFAULT_BUILTIN_RGB[0]);
    let other = el.vector::<3>("rgb2")?.unwrap_or(DEFAULT_BUILTIN_RGB[1]);
    let checker = match el.need("builtin")? {
        "flat" => false,
        "checker" if mapping == TextureMapping::Planar => true,
        kind => {
            let found = format!("builtin `{kind}` of a {mapping:?} texture").to_lowercase();
            return Err(el.fail(found, "flat, checker of a 2d texture, or a `file`"));
        }
    };
    Ok(MjcfTexture {
        mapping,
        picture: None,
        colour,
        checker: checker.then_some(other),
    })
}

/// Name of an asset: as given, else that of its file without ending.
fn asset_name(el: &MjcfElement, file: &str) -> Result<String, TaskError> {
    match (el.own("name"), Path::new(file).file_stem()) {
        (Some(name), _) => Ok(name.to_owned()),
        (None, Some(stem)) => Ok(stem.to_string_lossy().into_owned()),
        (None, None) => Err(el.fail(format!("file `{file}`"), "the path of a file")),
    }
}
