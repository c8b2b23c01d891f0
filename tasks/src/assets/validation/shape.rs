//! Checks of shapes.

use super::checker::{Checker, Item};
use crate::error::TaskError;
use bitvla_sim::ShapeDesc;

/// Most points of a hull.
const MAX_POINTS: usize = 10_000;
/// Most points of the profile of a lathe; each makes up to 1024 facets.
const MAX_PROFILE: usize = 1000;

/// Checks sizes, points and indices of a shape.
pub(super) fn check_shape(
    check: &Checker,
    item: &Item,
    shape: &ShapeDesc,
) -> Result<(), TaskError> {
    match shape {
        ShapeDesc::Box { half } => {
            check.length(item, "half", half)?;
            check.positive(item, "half", half)
        }
        ShapeDesc::Sphere { radius } => {
            check.length(item, "radius", &[*radius])?;
            check.positive(item, "radius", &[*radius])
        }
        ShapeDesc::Cylinder {
            radius,
            half_height,
        }
        | ShapeDesc::Capsule {
            radius,
            half_height,
        } => {
            check.length(item, "radius, half_height", &[*radius, *half_height])?;
            check.positive(item, "radius, half_height", &[*radius, *half_height])
        }
        ShapeDesc::Hull { points } => {
            check.length(item, "points", points.as_flattened())?;
            if points.len() > MAX_POINTS {
                let found = format!("{} points", points.len());
                return check.fail(item, found, &format!("at most {MAX_POINTS} points"));
            }
            if points.len() < 4 {
                let found = format!("{} points", points.len());
                return check.fail(item, found, "at least 4 points of a hull");
            }
            Ok(())
        }
        ShapeDesc::Lathe {
            profile,
            segments,
            flatten,
        } => {
            check.positive(item, "flatten", &[*flatten])?;
            check.length(item, "profile", profile.as_flattened())?;
            if profile.len() > MAX_PROFILE {
                let found = format!("a profile of {} points", profile.len());
                return check.fail(item, found, &format!("at most {MAX_PROFILE} points"));
            }
            if profile.len() < 2 || profile.iter().any(|p| p[0] < 0.0) {
                let found = format!("profile {profile:?}");
                return check.fail(item, found, "two or more [radius >= 0, z]");
            }
            if !(3..=1024).contains(segments) {
                let found = format!("{segments} segments");
                return check.fail(item, found, "3 to 1024 segments");
            }
            Ok(())
        }
        ShapeDesc::Mesh {
            vertices,
            triangles,
            uv,
            normals,
        } => {
            let finite = (vertices.as_flattened().iter())
                .chain(uv.as_flattened())
                .chain(normals.as_flattened())
                .all(|x| x.is_finite());
            if !finite {
                let found = "a vertex that is not finite".to_string();
                return check.fail(item, found, "finite numbers");
            }
            if !uv.is_empty() && uv.len() != vertices.len() {
                let found = format!("{} texture coordinates", uv.len());
                let expected = format!("none or {}", vertices.len());
                return check.fail(item, found, &expected);
            }
            if !normals.is_empty() && normals.len() != vertices.len() {
                let found = format!("{} normals", normals.len());
                let expected = format!("none or {}", vertices.len());
                return check.fail(item, found, &expected);
            }
            match (triangles.as_flattened().iter()).find(|i| **i as usize >= vertices.len()) {
                Some(i) => {
                    let expected = format!("an index below {}", vertices.len());
                    check.fail(item, format!("vertex index {i}"), &expected)
                }
                None => Ok(()),
            }
        }
    }
}
