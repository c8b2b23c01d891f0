//! The `<asset>` part of an MJCF file: meshes, textures and materials with the files that they name, and
//! what is drawn where a file is not there.

use super::mesh::{self, TriMesh};
use super::notice::Notices;
use super::xml::El;
use crate::error::TaskError;
use bitvla_sim::{MaterialDesc, TextureDesc};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Grey of a texture that is missing and not in the table below.
const GREY: [f64; 3] = [0.6, 0.6, 0.6];
/// Flat colours, of 255, for textures that partial copies of LIBERO leave out (fact sheet section 11).
const STAND_INS: [(&str, [u8; 3]); 15] = [
    (
        "FabricLeatherBuffaloRustic001_COL_VAR1_4K.png",
        [120, 80, 60],
    ),
    ("Marble062_COL_4K.png", [200, 195, 190]),
    ("wall_decoration_texture.png", [140, 110, 90]),
    ("akita_black_bowl/texture.png", [150, 150, 150]),
    ("basket/texture.png", [150, 110, 70]),
    ("plate/texture.png", [235, 232, 226]),
    ("red_bowl/texture.png", [170, 30, 30]),
    ("white_bowl/texture.png", [225, 225, 220]),
    ("dark_green_plaster_wall.png", [60, 90, 70]),
    ("gray_wall.png", [140, 140, 140]),
    ("desk_caddy_texture.png", [150, 115, 80]),
    ("porcelain_mug_texture.png", [235, 235, 230]),
    ("red_coffee_mug_texture.png", [180, 30, 25]),
    ("white_yellow_mug_texture.png", [225, 200, 90]),
    ("crate_mat_BaseColor.png", [165, 125, 85]),
];

/// How a texture is laid on a surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mapping {
    /// By texture coordinates, or flat along the z axis.
    Flat,
    /// From the faces of a cube around the centre.
    Cube,
}

/// A texture: a picture, or one colour.
#[derive(Debug, Clone)]
pub(crate) struct Texture {
    mapping: Mapping,
    picture: Option<PathBuf>,
    colour: [f64; 3],
}

/// A material and how its texture is laid.
#[derive(Debug, Clone)]
pub(crate) struct Material {
    /// Colour, 0..1, and opacity.
    pub rgba: [f64; 4],
    specular: f64,
    shininess: f64,
    emission: f64,
    reflectance: f64,
    texture: Option<Texture>,
    /// Repeats of a flat texture.
    pub repeat: [f64; 2],
    /// Whether they count per unit of length rather than per object.
    pub uniform: bool,
}

/// A mesh asset: where it lies and what was read.
#[derive(Debug, Clone)]
pub(crate) struct MeshAsset {
    /// The file.
    pub path: PathBuf,
    /// What was read; none if the file is not there.
    pub mesh: Option<Arc<TriMesh>>,
}

/// All assets of a file, by name.
#[derive(Debug, Default)]
pub(crate) struct Assets {
    meshes: BTreeMap<String, (PathBuf, [f64; 3])>,
    read: BTreeMap<String, MeshAsset>,
    textures: BTreeMap<String, Texture>,
    /// Materials.
    pub materials: BTreeMap<String, Material>,
}

/// A texture file to take instead of the one that a file names: asset name and file.
pub(crate) type Instead = BTreeMap<String, PathBuf>;

impl Default for Material {
    fn default() -> Self {
        Material {
            rgba: [1.0; 4],
            specular: 0.5,
            shininess: 0.5,
            emission: 0.0,
            reflectance: 0.0,
            texture: None,
            repeat: [1.0, 1.0],
            uniform: false,
        }
    }
}

impl Material {
    /// What a geom without material looks like.
    pub fn plain(rgba: [f64; 4]) -> Material {
        Material {
            rgba,
            ..Material::default()
        }
    }

    /// The same, mirroring nothing.
    pub fn dull(&self) -> Material {
        Material {
            reflectance: 0.0,
            ..self.clone()
        }
    }

    /// How the texture is laid, if a picture is.
    pub fn mapping(&self) -> Option<Mapping> {
        let texture = self.texture.as_ref()?;
        texture.picture.as_ref().map(|_| texture.mapping)
    }

    /// What the renderer is told, for the colour of a geom; only flat ones mirror.
    pub fn desc(&self, rgba: [f64; 4], flat: bool) -> MaterialDesc {
        let texture = self.texture.as_ref().map(|texture| TextureDesc {
            kind: if texture.picture.is_some() {
                "file"
            } else {
                "flat"
            }
            .into(),
            size: None,
            colors: vec![texture.colour],
            repeat: None,
            seed: 0,
            text: (texture.picture.as_ref()).map(|path| path.to_string_lossy().into_owned()),
        });
        MaterialDesc {
            rgb: [rgba[0], rgba[1], rgba[2]],
            specular: self.specular,
            shininess: self.shininess,
            emission: self.emission,
            reflectance: if flat { self.reflectance } else { 0.0 },
            alpha: rgba[3],
            texture,
        }
    }
}

impl Assets {
    /// Reads the assets of a model. Meshes are read when a geom needs them.
    pub fn read(
        root: &El,
        dir: &Path,
        instead: &Instead,
        notices: &Notices,
    ) -> Result<Assets, TaskError> {
        let (mut mesh_dir, mut texture_dir) = (dir.to_owned(), dir.to_owned());
        for compiler in root.all("compiler") {
            if let Some(folder) = compiler.own("meshdir").or(compiler.own("assetdir")) {
                mesh_dir = dir.join(folder);
            }
            if let Some(folder) = compiler.own("texturedir").or(compiler.own("assetdir")) {
                texture_dir = dir.join(folder);
            }
        }
        let mut assets = Assets::default();
        for block in root.all("asset") {
            for el in block.children() {
                match el.tag() {
                    "mesh" => assets.mesh_asset(&el, &mesh_dir)?,
                    "texture" => assets.texture(&el, &texture_dir, instead, notices)?,
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

    fn mesh_asset(&mut self, el: &El, dir: &Path) -> Result<(), TaskError> {
        let file = el.need("file")?;
        let scale = el.vector::<3>("scale")?.unwrap_or([1.0; 3]);
        if scale.contains(&0.0) {
            return Err(el.fail(format!("scale {scale:?}"), "a scale without 0"));
        }
        if el.own("refpos").is_some() || el.own("refquat").is_some() {
            return Err(el.fail("`refpos` or `refquat`", "a mesh in its own frame"));
        }
        self.meshes.insert(named(el, file), (dir.join(file), scale));
        Ok(())
    }

    /// Reads the mesh of a geom.
    pub fn mesh(&mut self, el: &El, name: &str, notices: &Notices) -> Result<MeshAsset, TaskError> {
        if let Some(known) = self.read.get(name) {
            return Ok(known.clone());
        }
        let Some((path, scale)) = self.meshes.get(name) else {
            return Err(el.fail(format!("mesh `{name}`"), "a mesh of <asset>"));
        };
        let mesh = if path.is_file() {
            Some(Arc::new(mesh::read(path, *scale)?))
        } else {
            notices.missing(
                path,
                "collision shapes of its body are drawn instead, if there are any",
            );
            None
        };
        let asset = MeshAsset {
            path: path.clone(),
            mesh,
        };
        self.read.insert(name.to_owned(), asset.clone());
        Ok(asset)
    }

    fn texture(
        &mut self,
        el: &El,
        dir: &Path,
        instead: &Instead,
        notices: &Notices,
    ) -> Result<(), TaskError> {
        let mapping = match el.get("type")?.unwrap_or("cube") {
            "2d" => Mapping::Flat,
            "cube" => Mapping::Cube,
            "skybox" => return Ok(()),
            other => return Err(el.fail(format!("type `{other}`"), "2d, cube or skybox")),
        };
        let Some(file) = el.get("file")? else {
            let first = el.vector::<3>("rgb1")?.unwrap_or([0.8; 3]);
            let name = el.need("name")?.to_owned();
            let texture = Texture {
                mapping,
                picture: None,
                colour: first,
            };
            self.textures.insert(name, texture);
            return Ok(());
        };
        let name = named(el, file);
        let mut picture = dir.join(file);
        if let Some(other) = instead.get(&name) {
            if other.is_file() {
                picture = other.clone();
            } else {
                notices.missing(other, &format!("`{}` is used", file_name(&picture)));
            }
        }
        let there = picture.is_file();
        if !there {
            notices.missing(&picture, "a flat colour is drawn");
        }
        let written = picture.to_string_lossy().replace('\\', "/");
        let stand_in = STAND_INS.iter().find(|(end, _)| written.ends_with(end));
        let colour = match stand_in {
            _ if there => [1.0; 3],
            Some((_, rgb)) => rgb.map(|c| f64::from(c) / 255.0),
            None => GREY,
        };
        let texture = Texture {
            mapping,
            picture: there.then_some(picture),
            colour,
        };
        self.textures.insert(name, texture);
        Ok(())
    }

    fn material(&mut self, el: &El) -> Result<(), TaskError> {
        let plain = Material::default();
        let texture = match el.get("texture")? {
            None => None,
            Some(name) => Some(
                self.textures
                    .get(name)
                    .cloned()
                    .ok_or_else(|| el.fail(format!("texture `{name}`"), "a texture of <asset>"))?,
            ),
        };
        let material = Material {
            rgba: el.vector::<4>("rgba")?.unwrap_or(plain.rgba),
            specular: el.number("specular", plain.specular)?,
            shininess: el.number("shininess", plain.shininess)?,
            emission: el.number("emission", plain.emission)?,
            reflectance: el.number("reflectance", plain.reflectance)?,
            texture,
            repeat: el.vector::<2>("texrepeat")?.unwrap_or(plain.repeat),
            uniform: el.flag("texuniform")?.unwrap_or(plain.uniform),
        };
        self.materials.insert(el.need("name")?.to_owned(), material);
        Ok(())
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Name of an asset: as given, else that of its file without ending.
fn named(el: &El, file: &str) -> String {
    match el.own("name") {
        Some(name) => name.to_owned(),
        None => Path::new(file)
            .file_stem()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default(),
    }
}
