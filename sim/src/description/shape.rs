//! Geometric shapes, for collision and for drawing.

use serde::{Deserialize, Serialize};

fn one() -> f64 {
    1.0
}

/// A geometric primitive centred on its own frame; symmetric ones have their axis along z.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ShapeDesc {
    /// Box with half sizes, m.
    Box {
        /// Half extents along x, y, z, m.
        half: [f64; 3],
    },
    /// Sphere.
    Sphere {
        /// Radius, m.
        radius: f64,
    },
    /// Cylinder along z.
    Cylinder {
        /// Radius, m.
        radius: f64,
        /// Half of the height, m.
        half_height: f64,
    },
    /// Capsule along z.
    Capsule {
        /// Radius, m.
        radius: f64,
        /// Half of the straight part, m.
        half_height: f64,
    },
    /// Convex hull of points, m.
    Hull {
        /// Points, m.
        points: Vec<[f64; 3]>,
    },
    /// Surface of revolution about z: `profile` lists `[radius, z]` from one end to the other, with
    /// the outside on the left when walking along it. Drawn only.
    Lathe {
        /// `[radius, z]` pairs, m.
        profile: Vec<[f64; 2]>,
        /// Number of facets around the axis.
        segments: u32,
        /// Factor on y, for flat bottles.
        #[serde(default = "one")]
        flatten: f64,
    },
    /// Triangle mesh. Drawn only.
    Mesh {
        /// Vertex positions, m.
        vertices: Vec<[f32; 3]>,
        /// Vertex indices of triangles, counter-clockwise from outside.
        triangles: Vec<[u32; 3]>,
        /// Texture coordinates per vertex; empty for none.
        #[serde(default)]
        uv: Vec<[f32; 2]>,
        /// Unit normals per vertex; empty for flat triangles.
        #[serde(default)]
        normals: Vec<[f32; 3]>,
    },
}
