//! Lighting per pixel by the fixed-function rules that MuJoCo uses (fact sheet section 2): colours
//! are multiplied as displayed (no gamma), each light adds ambient, diffuse and a Blinn-Phong
//! highlight, spots fall off with the tenth power of the cosine inside their cone, and a headlight
//! shines from the camera. All lights are grey, so a surface needs two numbers only.

use super::math::{V3, unit};
use crate::description::{LightDesc, MaterialDesc};

/// Numbers of a material that the shader needs.
#[derive(Debug, Clone)]
pub(crate) struct Material {
    pub rgb: V3,
    pub specular: f32,
    pub exponent: u32,
    pub emission: f32,
    pub texture: Option<usize>,
    pub repeat: [f32; 2],
}

impl Material {
    pub(crate) fn new(desc: &MaterialDesc, texture: Option<usize>) -> Self {
        let repeat = desc.texture.as_ref().and_then(|t| t.repeat);
        Material {
            rgb: desc.rgb.map(|c| c as f32),
            specular: desc.specular as f32,
            exponent: (128.0 * desc.shininess.clamp(0.0, 1.0) + 0.5) as u32,
            emission: desc.emission as f32,
            texture,
            repeat: repeat.map_or([1.0, 1.0], |r| r.map(|v| v as f32)),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Lamp {
    pub pos: V3,
    pub dir: V3,
    pub directional: bool,
    pub cos_cutoff: f32,
    pub ambient: f32,
    pub diffuse: f32,
    pub specular: f32,
}

/// The lights of a scene.
#[derive(Debug, Clone)]
pub(crate) struct Lights {
    pub(super) lamps: Vec<Lamp>,
    pub(super) head: [f32; 3],
}

impl Lights {
    pub(crate) fn new(lights: &[LightDesc], head: [f64; 3]) -> Self {
        let lamps = lights
            .iter()
            .map(|l| Lamp {
                pos: l.pos.map(|v| v as f32),
                dir: unit(l.dir.map(|v| v as f32)),
                directional: l.directional,
                cos_cutoff: libm::cos(l.cutoff_deg.to_radians()) as f32,
                ambient: l.ambient as f32,
                diffuse: l.diffuse as f32,
                specular: l.specular as f32,
            })
            .collect();
        Lights {
            lamps,
            head: head.map(|v| v as f32),
        }
    }
}
