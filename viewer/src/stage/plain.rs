//! The material of quick pictures: where the processor draws, physically based light takes a second per frame.

use bevy::asset::{Asset, embedded_asset};
use bevy::mesh::MeshVertexBufferLayoutRef;
use bevy::pbr::{MaterialPipeline, MaterialPipelineKey, MaterialPlugin};
use bevy::prelude::*;
use bevy::render::render_resource::{
    AsBindGroup, RenderPipelineDescriptor, SpecializedMeshPipelineError,
};
use bevy::shader::ShaderRef;
use bitvla_sim::MaterialDesc;

/// Depth bias of what lies on a surface: about a millimetre at arm's length.
pub(super) const BEFORE: f32 = 6000.0;

/// A surface in quick light; see `plain.wgsl`.
#[derive(Asset, TypePath, AsBindGroup, Debug, Clone)]
#[bind_group_data(PlainKey)]
pub(super) struct Plain {
    #[uniform(0)]
    color: LinearRgba,
    #[uniform(0)]
    glow: Vec4,
    #[uniform(0)]
    shape: Vec4,
    #[texture(1)]
    #[sampler(2)]
    texture: Option<Handle<Image>>,
    unlit: bool,
    blend: bool,
    film: bool,
}

/// Which lines of the shader a surface needs.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PlainKey {
    textured: bool,
    glossy: bool,
    unlit: bool,
    film: bool,
}

impl From<&Plain> for PlainKey {
    fn from(plain: &Plain) -> PlainKey {
        PlainKey {
            textured: plain.texture.is_some(),
            glossy: plain.shape.z > 0.0,
            unlit: plain.unlit,
            film: plain.film,
        }
    }
}

impl Plain {
    /// The surface of a description.
    pub(super) fn new(desc: &MaterialDesc, texture: Option<Handle<Image>>) -> Plain {
        let [r, g, b] = desc.rgb.map(|c| c as f32);
        let e = desc.emission as f32;
        let glow = Color::srgb(r * e, g * e, b * e).to_linear();
        let exponent = (128.0 * desc.shininess.clamp(0.0, 1.0) as f32).max(1.0);
        let repeat = desc.texture.as_ref().and_then(|t| t.repeat);
        let [u, v] = repeat.unwrap_or([1.0, 1.0]).map(|r| r as f32);
        Plain {
            color: Color::srgba(r, g, b, desc.alpha as f32).to_linear(),
            glow: Vec4::new(glow.red, glow.green, glow.blue, exponent),
            shape: Vec4::new(u, v, 0.35 * desc.specular.clamp(0.0, 1.0) as f32, 0.0),
            texture,
            unlit: false,
            blend: desc.alpha < 0.999,
            film: false,
        }
    }

    /// A translucent colour, to lie on other surfaces.
    pub(super) fn film(color: Srgba, unlit: bool) -> Plain {
        Plain {
            color: color.into(),
            glow: Vec4::W,
            shape: Vec4::ZERO,
            texture: None,
            unlit,
            blend: true,
            film: true,
        }
    }
}

impl Material for Plain {
    fn fragment_shader() -> ShaderRef {
        "embedded://bitvla_viewer/stage/plain.wgsl".into()
    }

    fn alpha_mode(&self) -> AlphaMode {
        if self.blend {
            AlphaMode::Blend
        } else {
            AlphaMode::Opaque
        }
    }

    fn depth_bias(&self) -> f32 {
        if self.film { BEFORE } else { 0.0 }
    }

    fn specialize(
        _pipeline: &MaterialPipeline,
        descriptor: &mut RenderPipelineDescriptor,
        _layout: &MeshVertexBufferLayoutRef,
        key: MaterialPipelineKey<Self>,
    ) -> Result<(), SpecializedMeshPipelineError> {
        let key = key.bind_group_data;
        if let Some(depth) = descriptor.depth_stencil.as_mut().filter(|_| key.film) {
            depth.bias.constant = BEFORE as i32;
        }
        if let Some(fragment) = &mut descriptor.fragment {
            let lines = [
                ("TEXTURED", key.textured),
                ("GLOSSY", key.glossy),
                ("UNLIT", key.unlit),
            ];
            for (name, _) in lines.into_iter().filter(|(_, needed)| *needed) {
                fragment.shader_defs.push(name.into());
            }
        }
        Ok(())
    }
}

/// Adds the material and its shader.
pub(super) fn build(app: &mut App) {
    embedded_asset!(app, "plain.wgsl");
    app.add_plugins(MaterialPlugin::<Plain>::default());
}
