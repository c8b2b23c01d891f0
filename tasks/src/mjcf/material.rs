//! Materials and textures of an MJCF file, and the flat colours that stand in for missing pictures.

use bitvla_sim::{MaterialDesc, TextureDesc};
use std::path::{Path, PathBuf};

/// Colour of a missing texture that is not in [`SUBSTITUTE_COLOURS`], RGB 0..1.
const GREY: [f64; 3] = [0.6, 0.6, 0.6];
/// Flat colours (RGB of 255) by the end of the path, for textures that partial copies of LIBERO leave out
/// (`docs/reference/libero.md`, section 11).
const SUBSTITUTE_COLOURS: [(&str, [u8; 3]); 15] = [
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

/// Projection of a texture onto a surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextureMapping {
    /// By texture coordinates, or along the z axis.
    Planar,
    /// From the faces of a cube around the centre.
    Cube,
}

/// A texture: a picture, one colour, or a checkerboard of two.
#[derive(Debug, Clone)]
pub(super) struct MjcfTexture {
    /// Projection.
    pub mapping: TextureMapping,
    /// Picture file, which exists.
    pub picture: Option<PathBuf>,
    /// Colour that the picture is multiplied by or that replaces it, RGB 0..1.
    pub colour: [f64; 3],
    /// The other colour of a checkerboard.
    pub checker: Option<[f64; 3]>,
}

impl MjcfTexture {
    /// A texture from a picture file; one colour if the file is missing.
    pub fn of_picture(mapping: TextureMapping, picture: PathBuf) -> MjcfTexture {
        let exists = picture.is_file();
        let colour = if exists {
            [1.0; 3]
        } else {
            substitute_colour(&picture)
        };
        MjcfTexture {
            mapping,
            picture: exists.then_some(picture),
            colour,
            checker: None,
        }
    }
}

fn substitute_colour(picture: &Path) -> [f64; 3] {
    let written = picture.to_string_lossy().replace('\\', "/");
    (SUBSTITUTE_COLOURS.iter())
        .find(|(end, _)| written.ends_with(end))
        .map_or(GREY, |(_, rgb)| rgb.map(|c| f64::from(c) / 255.0))
}

/// A material.
#[derive(Debug, Clone)]
pub(super) struct MjcfMaterial {
    /// Colour and opacity, 0..1.
    pub rgba: [f64; 4],
    /// Strength of specular reflection, 0..1.
    pub specular: f64,
    /// Shininess, 0..1.
    pub shininess: f64,
    /// Strength of emission.
    pub emission: f64,
    /// Strength of mirroring, 0..1.
    pub reflectance: f64,
    /// Texture.
    pub texture: Option<MjcfTexture>,
    /// Repeats of a planar texture in x and y.
    pub repeat: [f64; 2],
    /// The repeats count per metre rather than per object.
    pub uniform: bool,
}

impl Default for MjcfMaterial {
    /// MuJoCo's defaults.
    fn default() -> Self {
        MjcfMaterial {
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

impl MjcfMaterial {
    /// The material of a geom that names none.
    pub fn plain(rgba: [f64; 4]) -> MjcfMaterial {
        MjcfMaterial {
            rgba,
            ..MjcfMaterial::default()
        }
    }

    /// The same without mirroring.
    pub fn without_reflectance(&self) -> MjcfMaterial {
        MjcfMaterial {
            reflectance: 0.0,
            ..self.clone()
        }
    }

    /// Projection of the texture unless it is of one colour.
    pub fn mapping(&self) -> Option<TextureMapping> {
        let texture = self.texture.as_ref()?;
        (texture.picture.is_some() || texture.checker.is_some()).then_some(texture.mapping)
    }

    /// Describes the material for the renderer with the colour of a geom; only flat geoms mirror.
    pub fn desc(&self, rgba: [f64; 4], flat: bool) -> MaterialDesc {
        let texture = self.texture.as_ref().map(|texture| TextureDesc {
            kind: match (&texture.picture, texture.checker) {
                (Some(_), _) => "file",
                (None, Some(_)) => "checker",
                (None, None) => "flat",
            }
            .into(),
            size: None,
            colors: std::iter::once(texture.colour)
                .chain(texture.checker)
                .collect(),
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
