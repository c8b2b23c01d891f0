//! Volume, centre of mass and inertia of a mesh as MuJoCo 2.3.7 computes them, and whether its surface is closed.

use super::mesh::TriMesh;
use nalgebra::{Matrix3, Vector3};
use std::collections::BTreeMap;

/// Least volume of a solid, m^3; below it a mesh encloses nothing.
const MIN_VOLUME: f64 = 1e-15;

/// Volume, centre of mass and inertia of the solid that a mesh stands for, at density one.
#[derive(Debug, Clone, Copy)]
pub(super) struct VolumeProperties {
    /// Volume, m^3.
    pub volume: f64,
    /// Centre of mass, m.
    pub com: Vector3<f64>,
    /// Inertia about the centre of mass, m^5.
    pub inertia: Matrix3<f64>,
}

impl TriMesh {
    /// The solid as MuJoCo 2.3.7 counts it (`exactmeshinertia="false"`): the sum of the absolute volumes of the pyramids
    /// that the faces span with the area-weighted mean of their centres give the centre of mass, those that they span with it
    /// the moments of inertia. The volume, and with it the mass, is that of the box that has these moments: a sphere weighs
    /// 11 % less than its volume does. `None` if the mesh encloses nothing.
    pub fn volume_properties(&self) -> Option<VolumeProperties> {
        let (mut area, mut centre) = (0.0, Vector3::zeros());
        for t in &self.triangles {
            let [a, b, c] = self.corners(*t);
            let twice = (b - a).cross(&(c - a)).norm();
            area += twice;
            centre += (a + b + c) * (twice / 3.0);
        }
        let centre = centre / area;
        let (mut volume, mut first) = (0.0, Vector3::zeros());
        for t in &self.triangles {
            let [a, b, c] = self.corners(*t).map(|p| p - centre);
            let v = (a.dot(&b.cross(&c)) / 6.0).abs();
            volume += v;
            first += (a + b + c) * (v / 4.0);
        }
        if !(volume > MIN_VOLUME && volume.is_finite()) {
            return None;
        }
        let com = centre + first / volume;
        let (mut volume, mut second) = (0.0, Matrix3::zeros());
        for t in &self.triangles {
            let [a, b, c] = self.corners(*t).map(|p| p - com);
            let v = (a.dot(&b.cross(&c)) / 6.0).abs();
            volume += v;
            let s = a + b + c;
            second +=
                (s * s.transpose() + a * a.transpose() + b * b.transpose() + c * c.transpose())
                    * (v / 20.0);
        }
        let inertia = Matrix3::identity() * second.trace() - second;
        let moments = inertia.symmetric_eigenvalues();
        // Half a side of the box from the moments about all three of its axes.
        let half = moments.map(|m| (1.5 * (moments.sum() - 2.0 * m).max(0.0) / volume).sqrt());
        let box_volume = 8.0 * half.product();
        if !(box_volume > MIN_VOLUME && box_volume.is_finite()) {
            return None;
        }
        Some(VolumeProperties {
            volume: box_volume,
            com,
            inertia: inertia * (box_volume / volume),
        })
    }

    /// Description of what keeps the surface from enclosing a solid; `None` for a closed surface that is wound counter-clockwise
    /// from outside.
    pub fn surface_defect(&self) -> Option<&'static str> {
        let mut places = BTreeMap::new();
        let place: Vec<usize> = (self.vertices.iter())
            .map(|p| {
                let next = places.len();
                // Adding zero makes one bit pattern of the two zeros.
                *places.entry(p.map(|x| (x + 0.0).to_bits())).or_insert(next)
            })
            .collect();
        // Uses of an edge from its lower to its higher vertex, and back.
        let mut edges: BTreeMap<(usize, usize), [u32; 2]> = BTreeMap::new();
        for t in &self.triangles {
            let [a, b, c] = t.map(|i| place[i as usize]);
            // A triangle without area has no edges of its own.
            if a == b || b == c || c == a {
                continue;
            }
            for (from, to) in [(a, b), (b, c), (c, a)] {
                let uses = edges.entry((from.min(to), from.max(to))).or_default();
                uses[usize::from(from > to)] += 1;
            }
        }
        let signed: f64 = (self.triangles.iter())
            .map(|t| self.corners(*t))
            .map(|[a, b, c]| a.dot(&b.cross(&c)))
            .sum();
        if edges.values().any(|[there, back]| there + back == 1) {
            Some("open")
        } else if edges.values().any(|[there, back]| there != back) {
            Some("wound both ways")
        } else if signed < 0.0 {
            Some("inside out")
        } else {
            None
        }
    }
}
