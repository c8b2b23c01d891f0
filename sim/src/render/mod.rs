//! The cameras: a software renderer that gives the same bytes at any optimisation level, on any machine and for any
//! number of threads (`docs/reference/libero.md`, section 2 for cameras and lights, section 9 for orientation).
//!
//! One frame is the work of one thread: transform, clip and rasterise all triangles into a visibility buffer with four
//! samples per pixel (`projection`, `visibility_buffer`), then shade each pixel once per triangle that it sees,
//! triangle by triangle (`shading_queue`, `shade`, with `lighting`, `texture` and `shadow_map`). What a camera that
//! stays in place sees of things that do not move is kept (`static_set`, `static_image`). Arithmetic is plain
//! f32 without fused multiply-add; transcendental functions come from `libm` and are used only when a scene is built.

// Axes and channels index several arrays at once.
#![allow(clippy::needless_range_loop)]

mod camera_image;
mod clip;
mod drawable;
mod font;
mod frustum;
mod hull;
mod label_texture;
mod lighting;
mod math;
mod mesh;
mod mirror;
mod projection;
mod renderer;
mod shade;
mod shading_queue;
mod shadow_map;
mod simd;
#[cfg(any(
    target_arch = "aarch64",
    all(target_arch = "wasm32", target_feature = "simd128")
))]
mod simd_128;
mod simd_dispatch;
mod static_image;
mod static_set;
mod texture;
mod texture_patterns;
mod visibility_buffer;

pub use camera_image::CameraImage;
pub use mesh::Mesh;
pub use renderer::Renderer;
pub use texture::TextureImage;
