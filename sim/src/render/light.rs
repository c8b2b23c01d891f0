//! Lighting per pixel by the fixed-function rules that MuJoCo uses (fact sheet section 2): colours
//! are multiplied as displayed (no gamma), each light adds ambient, diffuse and a Blinn-Phong
//! highlight, spots fall off with the tenth power of the cosine inside their cone, and a headlight
//! shines from the camera. All lights are grey, so a surface needs two numbers only.

use super::math::{V3, add, dot, scale, sub, unit};
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
struct Lamp {
    pos: V3,
    dir: V3,
    directional: bool,
    cos_cutoff: f32,
    ambient: f32,
    diffuse: f32,
    specular: f32,
}

/// The lights of a scene.
#[derive(Debug, Clone)]
pub(crate) struct Lights {
    lamps: Vec<Lamp>,
    head: [f32; 3],
}

/// `x` to an integer power by squaring: the same roundings everywhere.
#[inline(always)]
fn powi(mut x: f32, mut n: u32) -> f32 {
    let mut y = 1.0;
    while n > 0 {
        if n & 1 == 1 {
            y *= x;
        }
        x *= x;
        n >>= 1;
    }
    y
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

    /// Light that a surface sends back: factor of its colour, and highlight. `view` points to the
    /// camera, `head` against the direction in which it looks and the headlight shines. `open` is the unshadowed share.
    #[inline(always)]
    pub(crate) fn shade(
        &self,
        m: &Material,
        p: V3,
        n: V3,
        view: V3,
        head: V3,
        open: f32,
    ) -> (f32, f32) {
        let facing = dot(n, head).max(0.0);
        let mut base = m.emission + self.head[0] + self.head[1] * facing;
        let glossy = m.specular > 0.0;
        let mut shine = if glossy {
            self.head[2] * powi(facing, m.exponent)
        } else {
            0.0
        };
        for l in &self.lamps {
            base += l.ambient;
            let to = if l.directional {
                [-l.dir[0], -l.dir[1], -l.dir[2]]
            } else {
                sub(l.pos, p)
            };
            let lambert = dot(n, to);
            if lambert <= 0.0 {
                continue;
            }
            let mut power = 1.0;
            let (mut to, mut lambert) = (to, lambert);
            if !l.directional {
                let c = -dot(l.dir, to);
                let far2 = dot(to, to);
                if c < 0.0 || c * c < l.cos_cutoff * l.cos_cutoff * far2 {
                    continue;
                }
                let near = 1.0 / far2.sqrt();
                (to, lambert) = (scale(to, near), lambert * near);
                let c = c * near;
                let c2 = c * c;
                let c4 = c2 * c2;
                power = c4 * c4 * c2;
            }
            base += power * l.diffuse * lambert;
            if glossy {
                let half = unit(add(to, view));
                shine += power * l.specular * powi(dot(n, half).max(0.0), m.exponent);
            }
        }
        (base * open, m.specular * shine * open)
    }
}
