//! Lighting by the fixed-function rules that MuJoCo uses (`docs/reference/libero.md`, section 2): colours are
//! multiplied as displayed (no gamma), each light adds ambient, diffuse and a Blinn-Phong highlight, spots fall off
//! with the tenth power of the cosine inside their cone, and a headlight shines from the camera. All lights are
//! grey, so that light needs two numbers only: a factor of the surface's colour, and a highlight.

use super::math::{RigidTransform, V3, add, dot, normalized, normalized_lanes, scale, splat3, sub};
use super::simd::F32x16;
use super::simd_dispatch::multiversion;
use super::visibility_buffer::coverage_mask;
use crate::description::{LightDesc, MaterialDesc};

/// Material of a surface, as the shader reads it.
#[derive(Debug, Clone)]
pub(super) struct Material {
    /// Base colour, 0..1.
    pub rgb: V3,
    /// Strength of the highlight.
    pub specular: f32,
    /// Exponent of the highlight.
    pub exponent: u32,
    /// Light of its own.
    pub emission: f32,
    /// Index of the texture.
    pub texture: Option<usize>,
    /// Repeats of the texture per unit of texture coordinate.
    pub repeat: [f32; 2],
    /// Samples of a pixel that the surface covers (see [`coverage_mask`]).
    pub mask: u32,
}

impl Material {
    pub fn new(desc: &MaterialDesc, texture: Option<usize>) -> Self {
        let repeat = desc.texture.as_ref().and_then(|t| t.repeat);
        Material {
            rgb: desc.rgb.map(|c| c as f32),
            specular: desc.specular as f32,
            exponent: (128.0 * desc.shininess.clamp(0.0, 1.0) + 0.5) as u32,
            emission: desc.emission as f32,
            texture,
            repeat: repeat.map_or([1.0, 1.0], |r| r.map(|v| v as f32)),
            mask: coverage_mask(desc.alpha as f32),
        }
    }
}

/// A spot or a directional light.
#[derive(Debug, Clone)]
struct Light {
    /// Position in the world, m.
    pos: V3,
    /// Unit direction in which it shines, world frame.
    dir: V3,
    directional: bool,
    /// Cosine of the half opening angle of a spot.
    cos_cutoff: f32,
    ambient: f32,
    diffuse: f32,
    specular: f32,
}

/// All lights of a scene.
#[derive(Debug, Clone)]
pub(super) struct Lighting {
    lights: Vec<Light>,
    /// Ambient, diffuse and specular strength of the headlight.
    headlight: [f32; 3],
}

impl Lighting {
    pub fn new(lights: &[LightDesc], headlight: [f64; 3]) -> Self {
        let lights = lights
            .iter()
            .map(|l| Light {
                pos: l.pos.map(|v| v as f32),
                dir: normalized(l.dir.map(|v| v as f32)),
                directional: l.directional,
                cos_cutoff: libm::cos(l.cutoff_deg.to_radians()) as f32,
                ambient: l.ambient as f32,
                diffuse: l.diffuse as f32,
                specular: l.specular as f32,
            })
            .collect();
        Lighting {
            lights,
            headlight: headlight.map(|v| v as f32),
        }
    }

    /// Light that points of one material reflect: factor of their colour, and highlight. `to_headlight` is the unit
    /// direction from the scene to the camera.
    #[inline(always)]
    pub fn at_points<F: F32x16>(
        &self,
        material: &Material,
        s: &SurfacePoints<F>,
        to_headlight: V3,
    ) -> (F, F) {
        let (splat, zero) = (F::splat, F::splat(0.0));
        let glossy = material.specular > 0.0;
        let facing = clamped_cosine(s.normal, splat3(to_headlight));
        let mut base =
            splat(material.emission + self.headlight[0]) + splat(self.headlight[1]) * facing;
        let mut highlight = zero;
        if glossy {
            highlight = splat(self.headlight[2]) * power(facing, material.exponent);
        }
        for l in &self.lights {
            let (to_light, lambert, strength, arrives) = l.incident(s.normal, s.point);
            base = base + splat(l.ambient);
            let more = base + strength * splat(l.diffuse) * lambert;
            base = F::select(arrives, more, base);
            if glossy && F::any(arrives) {
                let half = clamped_cosine(s.normal, normalized_lanes(add(to_light, s.to_eye)));
                let power = power(half, material.exponent);
                let more = highlight + strength * splat(l.specular) * power;
                highlight = F::select(arrives, more, highlight);
            }
        }
        (base, highlight)
    }

    /// Colour of a vertex as fixed-function OpenGL computes it: all lights and the headlight added up and clamped to
    /// 0..1, to be interpolated over the triangle and multiplied with the texture. `n` and `p` are normal and
    /// position in the world, `eye` is the position of the camera and the direction from the scene to it.
    #[inline(always)]
    fn at_vertex(&self, material: &Material, n: V3, p: V3, eye: (V3, V3)) -> V3 {
        let n = normalized(n);
        let to_eye = normalized(sub(eye.0, p));
        let (mut base, mut highlight) = (material.emission, 0.0);
        let mut add_light = |to: V3, strength: f32, [ambient, diffuse, specular]: [f32; 3]| {
            let lambert = dot(n, to);
            base += strength * ambient;
            if lambert > 0.0 {
                base += strength * diffuse * lambert;
                let half = dot(n, normalized(add(to, to_eye))).max(0.0);
                highlight += strength * specular * power_scalar(half, material.exponent);
            }
        };
        add_light(eye.1, 1.0, self.headlight);
        for l in &self.lights {
            let strengths = [l.ambient, l.diffuse, l.specular];
            if l.directional {
                add_light(scale(l.dir, -1.0), 1.0, strengths);
                continue;
            }
            let to = normalized(sub(l.pos, p));
            let c = -dot(l.dir, to);
            if c > 0.0 && c >= l.cos_cutoff {
                let (c2, c4) = (c * c, c * c * c * c);
                add_light(to, c4 * c4 * c2, strengths);
            }
        }
        let highlight = material.specular * highlight;
        (material.rgb).map(|v| (v * base + highlight).clamp(0.0, 1.0))
    }
}

multiversion! {
    /// Colours of the vertices of one drawable, from their positions in the world and their normals in the frame of
    /// the body; `eye` as in [`Lighting::at_vertex`].
    pub(super) fn light_vertices(
        colours: &mut [V3],
        range: std::ops::Range<usize>,
        from: (&[Vec<f32>; 3], &[V3]),
        frame: &RigidTransform,
        material: &Material,
        lighting: &Lighting,
        eye: (V3, V3),
    ) {
        let (world, normals) = from;
        for (i, n) in range.zip(normals) {
            let p = [world[0][i], world[1][i], world[2][i]];
            colours[i] = lighting.at_vertex(material, frame.dir(*n), p, eye);
        }
    }
}

/// Points to be lit, world frame.
pub(super) struct SurfacePoints<F> {
    /// Unit normals.
    pub normal: [F; 3],
    /// Positions, m.
    pub point: [F; 3],
    /// Unit directions to the camera.
    pub to_eye: [F; 3],
}

/// Cosine of the angle between two unit vectors, zero where that is negative.
#[inline(always)]
fn clamped_cosine<F: F32x16>(a: [F; 3], b: [F; 3]) -> F {
    let (f, zero) = (dot(a, b), F::splat(0.0));
    F::select(f.gt(zero), f, zero)
}

/// `x` to an integer power by squaring: the same roundings everywhere.
#[inline(always)]
fn power<F: F32x16>(mut x: F, n: u32) -> F {
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
fn power_scalar(mut x: f32, n: u32) -> f32 {
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
    /// Direction to the light, cosine of incidence, strength, and the lanes in which its light arrives.
    #[inline(always)]
    fn incident<F: F32x16>(&self, n: [F; 3], p: [F; 3]) -> ([F; 3], F, F, F::Mask) {
        let (splat, zero) = (F::splat, F::splat(0.0));
        let dir: [F; 3] = splat3(self.dir);
        if self.directional {
            let to = scale(dir, splat(-1.0));
            let lambert = dot(n, to);
            return (to, lambert, splat(1.0), lambert.gt(zero));
        }
        let to = sub(splat3(self.pos), p);
        let lambert = dot(n, to);
        let c = dot(dir, to) * splat(-1.0);
        let distance2 = dot(to, to);
        let cone = splat(self.cos_cutoff * self.cos_cutoff) * distance2;
        let inside = F::and(c.ge(zero), (c * c).ge(cone));
        let inverse = splat(1.0) / distance2.sqrt();
        let c = c * inverse;
        let c2 = c * c;
        let c4 = c2 * c2;
        (
            scale(to, inverse),
            lambert * inverse,
            c4 * c4 * c2,
            F::and(inside, lambert.gt(zero)),
        )
    }
}
