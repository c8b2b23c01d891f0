//! Lighting per pixel by the fixed-function rules that MuJoCo uses (fact sheet section 2): colours
//! are multiplied as displayed (no gamma), each light adds ambient, diffuse and a Blinn-Phong
//! highlight, spots fall off with the tenth power of the cosine inside their cone, and a headlight
//! shines from the camera. All lights are grey, so a surface needs two numbers only.

use super::isa::multiversion;
use super::math::{Rigid, V3, add, dot, scale, splats, sub, unit, units};
use super::raster::mask;
use super::simd::Wide;
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
    /// Samples of a pixel that the surface covers.
    pub mask: u32,
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
            mask: mask(desc.alpha as f32),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Light {
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
pub(crate) struct Lighting {
    pub(super) lights: Vec<Light>,
    pub(super) head: [f32; 3],
}

impl Lighting {
    pub(crate) fn new(lights: &[LightDesc], head: [f64; 3]) -> Self {
        let lights = lights
            .iter()
            .map(|l| Light {
                pos: l.pos.map(|v| v as f32),
                dir: unit(l.dir.map(|v| v as f32)),
                directional: l.directional,
                cos_cutoff: libm::cos(l.cutoff_deg.to_radians()) as f32,
                ambient: l.ambient as f32,
                diffuse: l.diffuse as f32,
                specular: l.specular as f32,
            })
            .collect();
        Lighting {
            lights,
            head: head.map(|v| v as f32),
        }
    }

    /// Light that surfaces of one material send back: factor of their colour, and highlight.
    /// `forward` is the direction from the scene to the camera.
    #[inline(always)]
    pub(super) fn on<F: Wide>(&self, material: &Material, s: &Surface<F>, forward: V3) -> (F, F) {
        let (num, zero) = (F::splat, F::splat(0.0));
        let glossy = material.specular > 0.0;
        let facing = cosine(s.normal, splats(forward));
        let mut base = num(material.emission + self.head[0]) + num(self.head[1]) * facing;
        let mut shine = zero;
        if glossy {
            shine = num(self.head[2]) * power(facing, material.exponent);
        }
        for l in &self.lights {
            let (to, lambert, strength, lit) = l.toward(s.normal, s.point);
            base = base + num(l.ambient);
            let more = base + strength * num(l.diffuse) * lambert;
            base = F::pick(lit, more, base);
            if glossy && F::any(lit) {
                let half = cosine(s.normal, units(add(to, s.back)));
                let power = power(half, material.exponent);
                let more = shine + strength * num(l.specular) * power;
                shine = F::pick(lit, more, shine);
            }
        }
        (base, shine)
    }
}

impl Lighting {
    /// Colour of a vertex as fixed-function OpenGL makes it: all lights and the headlight added up and cut
    /// to 0..1, to be mixed over the triangle and multiplied with the texture. `n` and `p` are in the
    /// world, `eye` is the camera: its position and the direction from the scene to it.
    #[inline(always)]
    pub(super) fn at_vertex(&self, material: &Material, n: V3, p: V3, eye: (V3, V3)) -> V3 {
        let n = unit(n);
        let back = unit(sub(eye.0, p));
        let (mut base, mut shine) = (material.emission, 0.0);
        let mut add_light = |to: V3, power_of: f32, [ambient, diffuse, specular]: [f32; 3]| {
            let lambert = dot(n, to);
            base += power_of * ambient;
            if lambert > 0.0 {
                base += power_of * diffuse * lambert;
                let half = dot(n, unit(add(to, back))).max(0.0);
                shine += power_of * specular * raised(half, material.exponent);
            }
        };
        add_light(eye.1, 1.0, self.head);
        for l in &self.lights {
            let strengths = [l.ambient, l.diffuse, l.specular];
            if l.directional {
                add_light(scale(l.dir, -1.0), 1.0, strengths);
                continue;
            }
            let to = unit(sub(l.pos, p));
            let c = -dot(l.dir, to);
            if c > 0.0 && c >= l.cos_cutoff {
                let (c2, c4) = (c * c, c * c * c * c);
                add_light(to, c4 * c4 * c2, strengths);
            }
        }
        let shine = material.specular * shine;
        material.rgb.map(|v| (v * base + shine).clamp(0.0, 1.0))
    }
}

multiversion! {
    /// Colours of the vertices of one part: of where they are in the world and their normals in the frame
    /// of the body; `eye` as in [`Lighting::at_vertex`].
    pub(super) fn vertices(
        lit: &mut [V3],
        range: std::ops::Range<usize>,
        from: (&[Vec<f32>; 3], &[V3]),
        frame: &Rigid,
        material: &Material,
        lights: &Lighting,
        eye: (V3, V3),
    ) {
        let (world, normals) = from;
        for (i, n) in range.zip(normals) {
            let p = [world[0][i], world[1][i], world[2][i]];
            lit[i] = lights.at_vertex(material, frame.dir(*n), p, eye);
        }
    }
}

/// Points to be lit, in the world; `back` points to the camera. Normals and `back` are unit vectors.
pub(super) struct Surface<F> {
    pub normal: [F; 3],
    pub point: [F; 3],
    pub back: [F; 3],
}

/// Cosine of the angle between two unit vectors, zero where that is negative.
#[inline(always)]
fn cosine<F: Wide>(a: [F; 3], b: [F; 3]) -> F {
    let (f, zero) = (dot(a, b), F::splat(0.0));
    F::pick(f.greater(zero), f, zero)
}

/// `x` to an integer power by squaring: the same roundings everywhere.
#[inline(always)]
fn power<F: Wide>(mut x: F, n: u32) -> F {
    let mut y = F::splat(1.0);
    for bit in 0..u32::BITS - n.leading_zeros() {
        if n >> bit & 1 == 1 {
            y = y * x;
        }
        x = x * x;
    }
    y
}

/// [`power`] of one number.
#[inline(always)]
fn raised(mut x: f32, n: u32) -> f32 {
    let mut y = 1.0;
    for bit in 0..u32::BITS - n.leading_zeros() {
        if n >> bit & 1 == 1 {
            y *= x;
        }
        x *= x;
    }
    y
}

impl Light {
    /// Direction to the lamp, cosine of incidence, power, and whether its light arrives.
    #[inline(always)]
    fn toward<F: Wide>(&self, n: [F; 3], p: [F; 3]) -> ([F; 3], F, F, F::Mask) {
        let (num, zero) = (F::splat, F::splat(0.0));
        let dir: [F; 3] = splats(self.dir);
        if self.directional {
            let to = scale(dir, num(-1.0));
            let lambert = dot(n, to);
            return (to, lambert, num(1.0), lambert.greater(zero));
        }
        let to = sub(splats(self.pos), p);
        let lambert = dot(n, to);
        let c = dot(dir, to) * num(-1.0);
        let far2 = dot(to, to);
        let cone = num(self.cos_cutoff * self.cos_cutoff) * far2;
        let inside = F::both(c.at_least(zero), (c * c).at_least(cone));
        let near = num(1.0) / far2.sqrt();
        let c = c * near;
        let c2 = c * c;
        let c4 = c2 * c2;
        (
            scale(to, near),
            lambert * near,
            c4 * c4 * c2,
            F::both(inside, lambert.greater(zero)),
        )
    }
}
