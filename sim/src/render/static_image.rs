//! What a camera that stays where it is sees of the static drawables, kept between images: the visibility buffer and
//! the colours where only they cast shadows. An image drawn over it has the bytes of one drawn from scratch: depths
//! and colours are computed by the same formulas, ties do not depend on the order of drawing, and pixels in which
//! anything else is seen, or on which its shadow may fall, are shaded anew.

use super::frustum::Frustum;
use super::math::{RigidTransform, V3, add, scale};
use super::shading_queue::Fragment;
use super::shadow_map::{MapCells, ShadowMap};
use super::visibility_buffer::{BLOCK, VisibilityBuffer};

/// Pose and opening of a camera and size of its image: what decides where something is seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct View {
    eye: RigidTransform,
    tan: [u32; 2],
    size: [usize; 2],
}

impl View {
    /// The view of a frustum.
    pub fn new(frustum: &Frustum) -> View {
        View {
            eye: frustum.eye,
            tan: frustum.tan.map(f32::to_bits),
            size: frustum.size,
        }
    }
}

/// The static drawables as one camera sees them; about 2.5 MB for 256 by 256 pixels.
pub(super) struct StaticImage {
    pub view: View,
    /// Version of the set of static drawables.
    pub version: u64,
    pub buffer: VisibilityBuffer,
    /// Colours, three bytes per pixel, top row first.
    pub rgb: Vec<u8>,
    /// For each block of the buffer the cells of the shadow map that its colours may depend on.
    cells: Vec<MapCells>,
}

impl StaticImage {
    /// Puts together what was drawn and shaded; `fragments` are those of the image.
    pub fn new(
        frustum: &Frustum,
        version: u64,
        buffer: VisibilityBuffer,
        rgb: Vec<u8>,
        fragments: &[Fragment],
        shadow: &ShadowMap,
    ) -> StaticImage {
        let mut cells = vec![MapCells::default(); buffer.touched.len()];
        for fragment in fragments {
            let block =
                fragment.y as usize / BLOCK * buffer.row_blocks + fragment.x as usize / BLOCK;
            cells[block].include(shadow, world_point(frustum, &buffer, fragment));
        }
        StaticImage {
            view: View::new(frustum),
            version,
            buffer,
            rgb,
            cells,
        }
    }

    /// Returns true when the colours of a block are those of [`StaticImage::rgb`], unless something else is seen in it.
    #[inline(always)]
    pub fn keeps(&self, block: usize, shadow: &ShadowMap) -> bool {
        !shadow.is_raised(&self.cells[block])
    }
}

/// Point of the scene that a fragment shows, m, but for rounding.
fn world_point(frustum: &Frustum, buffer: &VisibilityBuffer, fragment: &Fragment) -> V3 {
    let t = &buffer.triangles[fragment.triangle as usize];
    let [x, y] = [fragment.x, fragment.y];
    let inv_w = t.inv_w[0] + t.inv_w[1] * (x - t.origin[0]) + t.inv_w[2] * (y - t.origin[1]);
    let ray = frustum.eye.dir([
        (2.0 * x / buffer.width as f32 - 1.0) * frustum.tan[0],
        (1.0 - 2.0 * y / buffer.height as f32) * frustum.tan[1],
        -1.0,
    ]);
    add(frustum.eye.t, scale(ray, 1.0 / inv_w.max(1e-6)))
}
