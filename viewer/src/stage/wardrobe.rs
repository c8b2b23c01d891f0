//! Meshes, textures and materials that scenes share. What the last few scenes used is kept, so that the same
//! task opens again at once.

use super::material::{self, Finish};
use super::plain::Plain;
use bevy::asset::RenderAssetUsages;
use bevy::mesh::{Indices, PrimitiveTopology};
use bevy::prelude::*;
use bitvla_sim::render::{Mesh as Shape, TextureImage};
use bitvla_sim::{MaterialDesc, ShapeDesc, TextureDesc};

/// Scenes after which what was not used is forgotten.
const MEMORY: u64 = 4;

struct Kept<K, V> {
    key: K,
    value: V,
    used: u64,
}

/// A mesh and its box, in the frame of the shape.
#[derive(Clone)]
pub(super) struct Cut {
    pub mesh: Handle<Mesh>,
    pub low: Vec3,
    pub high: Vec3,
}

/// What scenes share.
#[derive(Resource, Default)]
pub(super) struct Wardrobe {
    scene: u64,
    meshes: Vec<Kept<(ShapeDesc, bool), Option<Cut>>>,
    images: Vec<Kept<TextureDesc, Option<Handle<Image>>>>,
    materials: Vec<Kept<MaterialDesc, Finish>>,
}

/// Where the things themselves are.
pub(super) struct Racks<'a> {
    pub meshes: &'a mut Assets<Mesh>,
    pub images: &'a mut Assets<Image>,
    pub physical: &'a mut Assets<StandardMaterial>,
    pub plain: &'a mut Assets<Plain>,
    pub fine: bool,
}

fn find<K, V: Clone>(kept: &mut [Kept<K, V>], scene: u64, is: impl Fn(&K) -> bool) -> Option<V> {
    let found = kept.iter_mut().find(|k| is(&k.key))?;
    found.used = scene;
    Some(found.value.clone())
}

impl Wardrobe {
    /// A new scene begins; what has not been used for long is forgotten.
    pub(super) fn next_scene(&mut self) {
        self.scene += 1;
        let scene = self.scene;
        self.meshes.retain(|k| k.used + MEMORY > scene);
        self.images.retain(|k| k.used + MEMORY > scene);
        self.materials.retain(|k| k.used + MEMORY > scene);
    }

    /// The mesh of a shape; none if the shape cannot be drawn.
    pub(super) fn mesh(
        &mut self,
        racks: &mut Racks,
        shape: &ShapeDesc,
        metric: bool,
    ) -> Option<Cut> {
        let is = |(s, m): &(ShapeDesc, bool)| *m == metric && s == shape;
        if let Some(found) = find(&mut self.meshes, self.scene, is) {
            return found;
        }
        let value = Shape::of_shape(shape, metric)
            .ok()
            .and_then(|shape| cut(racks.meshes, shape));
        self.meshes.push(Kept {
            key: (shape.clone(), metric),
            value: value.clone(),
            used: self.scene,
        });
        value
    }

    /// The material of a description. A texture that cannot be made is left out.
    pub(super) fn material(&mut self, racks: &mut Racks, desc: &MaterialDesc) -> Finish {
        if let Some(found) = find(&mut self.materials, self.scene, |m| m == desc) {
            // Its texture stays as long as it does.
            if let Some(texture) = &desc.texture {
                self.image(racks, texture);
            }
            return found;
        }
        let image = desc.texture.as_ref().and_then(|t| self.image(racks, t));
        let value = if racks.fine {
            Finish::Physical(racks.physical.add(material::physical(desc, image)))
        } else {
            Finish::Plain(racks.plain.add(Plain::new(desc, image)))
        };
        self.materials.push(Kept {
            key: desc.clone(),
            value: value.clone(),
            used: self.scene,
        });
        value
    }

    fn image(&mut self, racks: &mut Racks, desc: &TextureDesc) -> Option<Handle<Image>> {
        // Repeats belong to the material; the texels do not depend on them.
        let key = TextureDesc {
            repeat: None,
            ..desc.clone()
        };
        if let Some(found) = find(&mut self.images, self.scene, |t| *t == key) {
            return found;
        }
        let value = TextureImage::new(desc)
            .ok()
            .and_then(|texture| material::image(texture, if racks.fine { 16 } else { 1 }))
            .map(|image| racks.images.add(image));
        self.images.push(Kept {
            key,
            value: value.clone(),
            used: self.scene,
        });
        value
    }
}

fn cut(meshes: &mut Assets<Mesh>, shape: Shape) -> Option<Cut> {
    let first = Vec3::from(*shape.positions.first()?);
    let (mut low, mut high) = (first, first);
    for p in &shape.positions {
        low = low.min(Vec3::from(*p));
        high = high.max(Vec3::from(*p));
    }
    let indices = shape.triangles.into_iter().flatten().collect();
    let mesh = Mesh::new(
        PrimitiveTopology::TriangleList,
        RenderAssetUsages::default(),
    )
    .with_inserted_attribute(Mesh::ATTRIBUTE_POSITION, shape.positions)
    .with_inserted_attribute(Mesh::ATTRIBUTE_NORMAL, shape.normals)
    .with_inserted_attribute(Mesh::ATTRIBUTE_UV_0, shape.uvs)
    .with_inserted_indices(Indices::U32(indices));
    Some(Cut {
        mesh: meshes.add(mesh),
        low,
        high,
    })
}
