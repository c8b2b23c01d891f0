//! Simple material for software rendering, where Bevy's physically based shading takes about a second per frame:
//! Blinn-Phong with constant lights, see `simple_material.wgsl`.

use bevy::asset::{Asset, embedded_asset};
use bevy::mesh::MeshVertexBufferLayoutRef;
use bevy::pbr::{MaterialPipeline, MaterialPipelineKey, MaterialPlugin};
use bevy::prelude::*;
use bevy::render::render_resource::{
    AsBindGroup, RenderPipelineDescriptor, SpecializedMeshPipelineError,
};
use bevy::shader::ShaderRef;
use bitvla_sim::MaterialDesc;

/// Depth bias of overlays on surfaces, about 1 mm at a distance of 1 m.
pub(super) const OVERLAY_DEPTH_BIAS: f32 = 6000.0;

/// Parameters of the simple material.
#[derive(Asset, TypePath, AsBindGroup, Debug, Clone)]
#[bind_group_data(SimpleMaterialKey)]
pub(super) struct SimpleMaterial {
    #[uniform(0)]
    color: LinearRgba,
    #[uniform(0)]
    emission: Vec4,
    #[uniform(0)]
    repeat_and_gloss: Vec4,
    #[texture(1)]
    #[sampler(2)]
    texture: Option<Handle<Image>>,
    unlit: bool,
    blend: bool,
    overlay: bool,
}

/// Shader variant of a material.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SimpleMaterialKey {
    textured: bool,
    glossy: bool,
    unlit: bool,
    overlay: bool,
}

impl From<&SimpleMaterial> for SimpleMaterialKey {
    fn from(material: &SimpleMaterial) -> SimpleMaterialKey {
        SimpleMaterialKey {
            textured: material.texture.is_some(),
            glossy: material.repeat_and_gloss.z > 0.0,
            unlit: material.unlit,
            overlay: material.overlay,
        }
    }
}

impl SimpleMaterial {
    /// Builds the material of a description.
    pub(super) fn new(desc: &MaterialDesc, texture: Option<Handle<Image>>) -> SimpleMaterial {
        let [r, g, b] = desc.rgb.map(|c| c as f32);
        let e = desc.emission as f32;
        let emission = Color::srgb(r * e, g * e, b * e).to_linear();
        let exponent = (128.0 * desc.shininess.clamp(0.0, 1.0) as f32).max(1.0);
        let repeat = desc.texture.as_ref().and_then(|t| t.repeat);
        let [u, v] = repeat.unwrap_or([1.0, 1.0]).map(|r| r as f32);
        SimpleMaterial {
            color: Color::srgba(r, g, b, desc.alpha as f32).to_linear(),
            emission: Vec4::new(emission.red, emission.green, emission.blue, exponent),
            repeat_and_gloss: Vec4::new(u, v, 0.35 * desc.specular.clamp(0.0, 1.0) as f32, 0.0),
            texture,
            unlit: false,
            blend: desc.alpha < 0.999,
            overlay: false,
        }
    }

    /// Builds a translucent overlay of one colour.
    pub(super) fn overlay(color: Srgba, unlit: bool) -> SimpleMaterial {
        SimpleMaterial {
            color: color.into(),
            emission: Vec4::W,
            repeat_and_gloss: Vec4::ZERO,
            texture: None,
            unlit,
            blend: true,
            overlay: true,
        }
    }
}

impl Material for SimpleMaterial {
    fn fragment_shader() -> ShaderRef {
        "embedded://bitvla_viewer/viewport/simple_material.wgsl".into()
    }

    fn alpha_mode(&self) -> AlphaMode {
        if self.blend {
            AlphaMode::Blend
        } else {
            AlphaMode::Opaque
        }
    }

    fn depth_bias(&self) -> f32 {
        if self.overlay {
            OVERLAY_DEPTH_BIAS
        } else {
            0.0
        }
    }

    fn specialize(
        _pipeline: &MaterialPipeline,
        descriptor: &mut RenderPipelineDescriptor,
        _layout: &MeshVertexBufferLayoutRef,
        key: MaterialPipelineKey<Self>,
    ) -> Result<(), SpecializedMeshPipelineError> {
        let key = key.bind_group_data;
        if let Some(depth) = descriptor.depth_stencil.as_mut().filter(|_| key.overlay) {
            depth.bias.constant = OVERLAY_DEPTH_BIAS as i32;
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
    embedded_asset!(app, "simple_material.wgsl");
    app.add_plugins(MaterialPlugin::<SimpleMaterial>::default());
}
