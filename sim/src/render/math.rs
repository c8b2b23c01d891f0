//! The few vector operations of the renderer, in plain f32 without fused multiply-add, so that
//! every build rounds alike.

use super::simd::Wide;
use nalgebra::Isometry3;
use std::ops::{Add, Mul, Sub};

/// An array of what an expression gives for 0, 1 and 2. A closure would be a function of its own, which
/// lacks the instruction set of the loop around it.
macro_rules! xyz {
    ($k:ident => $what:expr) => {
        [
            {
                let $k = 0;
                $what
            },
            {
                let $k = 1;
                $what
            },
            {
                let $k = 2;
                $what
            },
        ]
    };
}
pub(super) use xyz;

/// A point, direction or colour.
pub(crate) type V3 = [f32; 3];

/// One number or several that are treated alike.
pub(crate) trait Number: Copy + Add<Output = Self> + Mul<Output = Self> {
    /// `v` everywhere.
    fn splat(v: f32) -> Self;
}

impl Number for f32 {
    #[inline(always)]
    fn splat(v: f32) -> f32 {
        v
    }
}

/// Numbers that are treated together.
pub(crate) const LANES: usize = 16;
/// One number for each lane.
pub(crate) type Lanes = [f32; LANES];

#[inline(always)]
pub(crate) fn add<T: Copy + Add<Output = T>>(a: [T; 3], b: [T; 3]) -> [T; 3] {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

#[inline(always)]
pub(crate) fn sub<T: Copy + Sub<Output = T>>(a: [T; 3], b: [T; 3]) -> [T; 3] {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

#[inline(always)]
pub(crate) fn scale<T: Copy + Mul<Output = T>>(a: [T; 3], s: T) -> [T; 3] {
    [a[0] * s, a[1] * s, a[2] * s]
}

#[inline(always)]
pub(crate) fn dot<T: Number>(a: [T; 3], b: [T; 3]) -> T {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[inline(always)]
pub(crate) fn cross(a: V3, b: V3) -> V3 {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

/// Largest whole number not above `x` (the library call is slow on plain x86-64).
#[inline(always)]
pub(crate) fn floor(x: f32) -> i32 {
    let i = x as i32;
    i - i32::from(i as f32 > x)
}

/// Smallest whole number not below `x`.
#[inline(always)]
pub(crate) fn ceil(x: f32) -> i32 {
    let i = x as i32;
    i + i32::from((i as f32) < x)
}

/// Unit vector along `a`; `a` itself when it is too short to have a direction.
#[inline(always)]
pub(crate) fn unit(a: V3) -> V3 {
    let l2 = dot(a, a);
    if l2 > 1e-20 {
        scale(a, 1.0 / l2.sqrt())
    } else {
        a
    }
}

/// The same vector in all lanes.
#[inline(always)]
pub(super) fn splats<T: Number>(v: V3) -> [T; 3] {
    xyz!(k => T::splat(v[k]))
}

/// [`unit`] for sixteen vectors.
#[inline(always)]
pub(super) fn units<F: Wide>(a: [F; 3]) -> [F; 3] {
    let one = F::splat(1.0);
    let l2 = dot(a, a);
    let some = l2.greater(F::splat(1e-20));
    scale(a, F::pick(some, one / l2.sqrt(), one))
}

/// A rigid motion: columns of the rotation and the translation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rigid {
    pub x: V3,
    pub y: V3,
    pub z: V3,
    pub t: V3,
}

impl Rigid {
    /// Rounds an isometry to f32.
    pub(crate) fn new(iso: &Isometry3<f64>) -> Self {
        let r = iso.rotation.to_rotation_matrix();
        let m = r.matrix();
        let col = |j: usize| [m[(0, j)] as f32, m[(1, j)] as f32, m[(2, j)] as f32];
        let t = iso.translation.vector;
        Rigid {
            x: col(0),
            y: col(1),
            z: col(2),
            t: [t.x as f32, t.y as f32, t.z as f32],
        }
    }

    /// Rotates a direction, or one in each lane.
    #[inline(always)]
    pub(crate) fn dir<T: Number>(&self, v: [T; 3]) -> [T; 3] {
        let (x, y, z) = (
            splats::<T>(self.x),
            splats::<T>(self.y),
            splats::<T>(self.z),
        );
        xyz!(k => x[k] * v[0] + y[k] * v[1] + z[k] * v[2])
    }

    /// Moves a point.
    #[inline(always)]
    pub(crate) fn point(&self, v: V3) -> V3 {
        add(self.dir(v), self.t)
    }
}
