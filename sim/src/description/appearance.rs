//! Appearance: drawn shapes, materials, textures, cameras and lights.

use super::identity_quat;
use super::shape::ShapeDesc;
use serde::{Deserialize, Serialize};

fn opaque() -> f64 {
    1.0
}

/// A drawn shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisualDesc {
    /// Geometry.
    pub shape: ShapeDesc,
    /// Position in the body frame, m.
    #[serde(default)]
    pub pos: [f64; 3],
    /// Orientation in the body frame.
    #[serde(default = "identity_quat")]
    pub quat_wxyz: [f64; 4],
    /// Name in [`ModelDesc::materials`](super::ModelDesc::materials).
    pub material: String,
    /// Drawn only while the named joint of the model is at or above the position (a burner that is on).
    #[serde(default)]
    pub visible_when: Option<VisibleWhen>,
}

/// Condition for drawing a shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisibleWhen {
    /// Joint name in the same model.
    pub joint: String,
    /// Drawn while `q >= at_least`, rad or m.
    pub at_least: f64,
}

/// Appearance of a surface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaterialDesc {
    /// Base colour in display (sRGB) values 0..1; multiplies the texture.
    pub rgb: [f64; 3],
    /// Strength of the highlight, 0..1.
    #[serde(default)]
    pub specular: f64,
    /// Sharpness of the highlight, 0..1 (exponent 128 times this, as in MuJoCo).
    #[serde(default)]
    pub shininess: f64,
    /// Colour that is added whatever the light, 0..1.
    #[serde(default)]
    pub emission: f64,
    /// Share of the reflection that the upper face of a flat shape shows, 0..1; only in fixed-function arenas,
    /// and only for the first such shape of the scene, as in MuJoCo.
    #[serde(default)]
    pub reflectance: f64,
    /// Opacity, 0..1.
    #[serde(default = "opaque")]
    pub alpha: f64,
    /// Texture.
    #[serde(default)]
    pub texture: Option<TextureDesc>,
}

/// A texture, generated from numbers or read from a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextureDesc {
    /// Name of the generator: `wood`, `dark_wood`, `speckle`, `brushed`, `stripes`, `checker`, `label`, `rings`,
    /// `plaster`, `tiles`, `weave`, `flat` (the first colour), `print` (a package, painted by the statements in
    /// `text`), or `file`.
    pub kind: String,
    /// Side length of a generated texture, texels, rounded up to a power of two from 8 to 1024.
    #[serde(default)]
    pub size: Option<u32>,
    /// Colours used by the generator, sRGB 0..1.
    #[serde(default)]
    pub colors: Vec<[f64; 3]>,
    /// Repeats per metre of surface (boxes, planes) or per unit of texture coordinate.
    #[serde(default)]
    pub repeat: Option<[f64; 2]>,
    /// Seed of the generator.
    #[serde(default)]
    pub seed: u64,
    /// Words of a `label`, statements of a `print`, or path of a file.
    #[serde(default)]
    pub text: Option<String>,
}

/// A camera fixed in the world or to a body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraDesc {
    /// Name, for example `agentview`.
    pub name: String,
    /// Body of the robot that carries the camera; absent means the world.
    #[serde(default)]
    pub body: Option<String>,
    /// Position in the parent frame, m.
    pub pos: [f64; 3],
    /// Orientation in the parent frame; the view direction is the camera's -z, with +y up (MuJoCo's convention).
    pub quat_wxyz: [f64; 4],
    /// Vertical field of view, degrees.
    pub fovy_deg: f64,
}

/// A light (`docs/reference/libero.md`, section 2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LightDesc {
    /// Position in the world, m.
    pub pos: [f64; 3],
    /// Direction in which it shines, world frame.
    pub dir: [f64; 3],
    /// Parallel light rather than a spot.
    #[serde(default)]
    pub directional: bool,
    /// Half opening angle of a spot, degrees.
    pub cutoff_deg: f64,
    /// Ambient strength (grey).
    pub ambient: f64,
    /// Diffuse strength.
    pub diffuse: f64,
    /// Specular strength.
    pub specular: f64,
}
