//! Vector operations of the renderer in f32, without fused multiply-add, so that every build rounds alike. Those that
//! are generic serve one vector or one in each SIMD lane.

use super::simd::{F32x16, Real};
use nalgebra::Isometry3;
use std::ops::{Add, Mul, Sub};

/// Array of the values of an expression for 0, 1 and 2. A closure would be a function of its own, without the
/// instruction set of the loop around it.
macro_rules! xyz {
    ($k:ident => $value:expr) => {
        [
            {
                let $k = 0;
                $value
            },
            {
                let $k = 1;
                $value
            },
            {
                let $k = 2;
                $value
            },
        ]
    };
}
pub(super) use xyz;

/// A point, direction or colour.
pub(crate) type V3 = [f32; 3];

/// Sum of two vectors.
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
pub(crate) fn dot<T: Real>(a: [T; 3], b: [T; 3]) -> T {
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
pub(crate) fn floor_i32(x: f32) -> i32 {
    let i = x as i32;
    i - i32::from(i as f32 > x)
}

/// Smallest whole number not below `x`.
#[inline(always)]
pub(crate) fn ceil_i32(x: f32) -> i32 {
    let i = x as i32;
    i + i32::from((i as f32) < x)
}

/// Unit vector along `a`; `a` itself when it is shorter than 1e-10, as in a degenerate triangle, which covers nothing.
#[inline(always)]
pub(crate) fn normalized(a: V3) -> V3 {
    let l2 = dot(a, a);
    if l2 > 1e-20 {
        scale(a, 1.0 / l2.sqrt())
    } else {
        a
    }
}

/// The same vector in all lanes.
#[inline(always)]
pub(super) fn splat3<T: Real>(v: V3) -> [T; 3] {
    xyz!(k => T::splat(v[k]))
}

/// [`normalized`] for sixteen vectors.
#[inline(always)]
pub(super) fn normalized_lanes<F: F32x16>(a: [F; 3]) -> [F; 3] {
    let one = F::splat(1.0);
    let l2 = dot(a, a);
    let long_enough = l2.gt(F::splat(1e-20));
    scale(a, F::select(long_enough, one / l2.sqrt(), one))
}

/// Rigid transform: the columns `x`, `y`, `z` of the rotation, and the translation `t`, m. Two are equal when their
/// bits are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RigidTransform {
    pub x: V3,
    pub y: V3,
    pub z: V3,
    pub t: V3,
}

impl PartialEq for RigidTransform {
    fn eq(&self, other: &Self) -> bool {
        let bits = |f: &Self| [f.x, f.y, f.z, f.t].map(|v| v.map(f32::to_bits));
        bits(self) == bits(other)
    }
}

impl RigidTransform {
    /// Rounds an isometry to f32.
    pub(crate) fn new(iso: &Isometry3<f64>) -> Self {
        let r = iso.rotation.to_rotation_matrix();
        let m = r.matrix();
        let col = |j: usize| [m[(0, j)] as f32, m[(1, j)] as f32, m[(2, j)] as f32];
        let t = iso.translation.vector;
        RigidTransform {
            x: col(0),
            y: col(1),
            z: col(2),
            t: [t.x as f32, t.y as f32, t.z as f32],
        }
    }

    /// Rotates a direction.
    #[inline(always)]
    pub(crate) fn dir<T: Real>(&self, v: [T; 3]) -> [T; 3] {
        let (x, y, z) = (
            splat3::<T>(self.x),
            splat3::<T>(self.y),
            splat3::<T>(self.z),
        );
        xyz!(k => x[k] * v[0] + y[k] * v[1] + z[k] * v[2])
    }

    /// Transforms a point.
    #[inline(always)]
    pub(crate) fn point(&self, v: V3) -> V3 {
        add(self.dir(v), self.t)
    }
}
