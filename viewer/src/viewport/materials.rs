//! Materials and textures from the simulation's descriptions (MuJoCo's fixed-function parameters): physically based on
//! a GPU, the simple material without one.

use super::simple_material::SimpleMaterial;
use bevy::asset::RenderAssetUsages;
use bevy::image::{
    ImageAddressMode, ImageFilterMode, ImageSampler, ImageSamplerDescriptor, TextureFormatPixelInfo,
};
use bevy::math::Affine2;
use bevy::prelude::*;
use bevy::render::render_resource::{Extent3d, TextureDimension, TextureFormat};
use bitvla_sim::MaterialDesc;
use bitvla_sim::render::TextureImage;

const FORMAT: TextureFormat = TextureFormat::Rgba8UnormSrgb;

/// Handle of a material of either kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum MaterialHandle {
    /// Physically based.
    Physical(Handle<StandardMaterial>),
    /// Simple, for software rendering.
    Simple(Handle<SimpleMaterial>),
}

impl MaterialHandle {
    /// Inserts the material into an entity.
    pub(super) fn apply_to(&self, shape: &mut EntityCommands) {
        match self {
            MaterialHandle::Physical(material) => shape.insert(MeshMaterial3d(material.clone())),
            MaterialHandle::Simple(material) => shape.insert(MeshMaterial3d(material.clone())),
        };
    }
}

/// Builds a physically based material, with its texture if it has one.
pub(super) fn physical(desc: &MaterialDesc, texture: Option<Handle<Image>>) -> StandardMaterial {
    let [r, g, b] = desc.rgb.map(|c| c as f32);
    let alpha = desc.alpha as f32;
    let emission = desc.emission as f32;
    let repeat = desc.texture.as_ref().and_then(|t| t.repeat);
    let [u, v] = repeat.unwrap_or([1.0, 1.0]).map(|r| r as f32);
    let glow = Color::srgb(r * emission, g * emission, b * emission).to_linear();
    StandardMaterial {
        base_color: Color::srgba(r, g, b, alpha),
        base_color_texture: texture,
        emissive: glow,
        emissive_exposure_weight: 0.0,
        perceptual_roughness: roughness(desc),
        reflectance: 0.15 + 0.45 * (desc.specular as f32).clamp(0.0, 1.0),
        alpha_mode: if alpha < 0.999 {
            AlphaMode::Blend
        } else {
            AlphaMode::Opaque
        },
        uv_transform: Affine2::from_scale(Vec2::new(u, v)),
        ..default()
    }
}

/// Perceptual roughness that gives a highlight as wide as the Blinn-Phong exponent of the description.
fn roughness(desc: &MaterialDesc) -> f32 {
    if desc.specular <= 0.0 {
        return 0.95;
    }
    let exponent = 128.0 * desc.shininess.clamp(0.0, 1.0) as f32;
    (2.0 / (exponent + 2.0)).powf(0.25).clamp(0.3, 0.95)
}

/// Builds an image with mipmaps from the levels that are complete.
///
/// # Errors
/// If not even the first level is complete.
pub(super) fn image(texture: TextureImage, anisotropy: u16) -> Result<Image, String> {
    let TextureImage {
        width,
        height,
        levels,
        mut rgba,
    } = texture;
    let texel = FORMAT.pixel_size().map_err(|e| e.to_string())?;
    let mut complete = 0;
    let mut bytes = 0;
    for level in 0..levels {
        let side = |s: u32| (s >> level).max(1) as usize;
        let with = bytes + side(width) * side(height) * texel;
        if with > rgba.len() {
            break;
        }
        (complete, bytes) = (level + 1, with);
        if side(width) == 1 && side(height) == 1 {
            break;
        }
    }
    if complete == 0 {
        return Err(format!(
            "{} bytes are too few for {width}x{height} texels",
            rgba.len()
        ));
    }
    rgba.truncate(bytes);
    let size = Extent3d {
        width,
        height,
        depth_or_array_layers: 1,
    };
    let mut image = Image::new_uninit(
        size,
        TextureDimension::D2,
        FORMAT,
        RenderAssetUsages::RENDER_WORLD,
    );
    image.data = Some(rgba);
    image.texture_descriptor.mip_level_count = complete;
    image.sampler = ImageSampler::Descriptor(ImageSamplerDescriptor {
        address_mode_u: ImageAddressMode::Repeat,
        address_mode_v: ImageAddressMode::Repeat,
        mag_filter: ImageFilterMode::Linear,
        min_filter: ImageFilterMode::Linear,
        mipmap_filter: ImageFilterMode::Linear,
        anisotropy_clamp: anisotropy,
        ..default()
    });
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_levels_are_kept() {
        let texture = |levels, bytes| TextureImage {
            width: 4,
            height: 2,
            levels,
            rgba: vec![0; bytes],
        };
        let count = |t| {
            image(t, 1)
                .ok()
                .map(|i| i.texture_descriptor.mip_level_count)
        };
        assert_eq!(count(texture(3, 4 * (8 + 2 + 1))), Some(3));
        assert_eq!(count(texture(3, 4 * (8 + 2))), Some(2));
        assert_eq!(count(texture(9, 4 * (8 + 2 + 1 + 1))), Some(3));
        assert_eq!(count(texture(3, 4)), None);
    }
}
