//! Cache of meshes, textures and materials shared by scenes. Entries used by the last [`KEPT_SCENES`] scenes are kept,
//! so that reopening a task is immediate.

use super::materials::{self, MaterialHandle};
use super::simple_material::SimpleMaterial;
use crate::warnings::warn_once;
use bevy::asset::RenderAssetUsages;
use bevy::mesh::{Indices, PrimitiveTopology};
use bevy::prelude::*;
use bitvla_sim::render::{Mesh as Shape, TextureImage};
use bitvla_sim::{MaterialDesc, ShapeDesc, TextureDesc};

/// Number of scenes after which an unused entry is dropped.
const KEPT_SCENES: u64 = 4;

struct CacheEntry<K, V> {
    key: K,
    value: V,
    used: u64,
}

/// An uploaded mesh and its bounding box in the frame of the shape, m.
#[derive(Clone)]
pub(super) struct CachedMesh {
    pub mesh: Handle<Mesh>,
    pub low: Vec3,
    pub high: Vec3,
}

/// Cached assets by their descriptions.
#[derive(Resource, Default)]
pub(super) struct AssetCache {
    scene: u64,
    meshes: Vec<CacheEntry<(ShapeDesc, bool), Option<CachedMesh>>>,
    images: Vec<CacheEntry<TextureDesc, Option<Handle<Image>>>>,
    materials: Vec<CacheEntry<MaterialDesc, MaterialHandle>>,
}

/// Bevy's asset collections that hold the cached assets.
pub(super) struct AssetStores<'a> {
    pub meshes: &'a mut Assets<Mesh>,
    pub images: &'a mut Assets<Image>,
    pub physical: &'a mut Assets<StandardMaterial>,
    pub simple: &'a mut Assets<SimpleMaterial>,
    pub fine: bool,
}

fn find<K, V: Clone>(
    kept: &mut [CacheEntry<K, V>],
    scene: u64,
    is: impl Fn(&K) -> bool,
) -> Option<V> {
    let found = kept.iter_mut().find(|k| is(&k.key))?;
    found.used = scene;
    Some(found.value.clone())
}

impl AssetCache {
    /// Starts a new scene and drops entries that were not used for [`KEPT_SCENES`] scenes.
    pub(super) fn next_scene(&mut self) {
        self.scene += 1;
        let scene = self.scene;
        self.meshes.retain(|k| k.used + KEPT_SCENES > scene);
        self.images.retain(|k| k.used + KEPT_SCENES > scene);
        self.materials.retain(|k| k.used + KEPT_SCENES > scene);
    }

    /// Mesh of a shape; none if it cannot be triangulated, which is reported once on standard error.
    pub(super) fn mesh(
        &mut self,
        stores: &mut AssetStores,
        shape: &ShapeDesc,
        metric: bool,
    ) -> Option<CachedMesh> {
        let is = |(s, m): &(ShapeDesc, bool)| *m == metric && s == shape;
        if let Some(found) = find(&mut self.meshes, self.scene, is) {
            return found;
        }
        let value = match Shape::of_shape(shape, metric) {
            Ok(mesh) => upload_mesh(stores.meshes, mesh),
            Err(error) => {
                warn_once(&format!("a shape is missing in the 3D view: {error}"));
                None
            }
        };
        self.meshes.push(CacheEntry {
            key: (shape.clone(), metric),
            value: value.clone(),
            used: self.scene,
        });
        value
    }

    /// Material of a description. A texture that cannot be made is left out and reported once on standard error.
    pub(super) fn material(
        &mut self,
        stores: &mut AssetStores,
        desc: &MaterialDesc,
    ) -> MaterialHandle {
        if let Some(found) = find(&mut self.materials, self.scene, |m| m == desc) {
            // Marks the texture as used, so that it stays as long as the material.
            if let Some(texture) = &desc.texture {
                self.image(stores, texture);
            }
            return found;
        }
        let image = desc.texture.as_ref().and_then(|t| self.image(stores, t));
        let value = if stores.fine {
            MaterialHandle::Physical(stores.physical.add(materials::physical(desc, image)))
        } else {
            MaterialHandle::Simple(stores.simple.add(SimpleMaterial::new(desc, image)))
        };
        self.materials.push(CacheEntry {
            key: desc.clone(),
            value: value.clone(),
            used: self.scene,
        });
        value
    }

    fn image(&mut self, stores: &mut AssetStores, desc: &TextureDesc) -> Option<Handle<Image>> {
        // The texture repeat belongs to the material; texels do not depend on it.
        let key = TextureDesc {
            repeat: None,
            ..desc.clone()
        };
        if let Some(found) = find(&mut self.images, self.scene, |t| *t == key) {
            return found;
        }
        let anisotropy = if stores.fine { 16 } else { 1 };
        let image = TextureImage::new(desc)
            .map_err(|error| error.to_string())
            .and_then(|texture| materials::image(texture, anisotropy));
        let value = match image {
            Ok(image) => Some(stores.images.add(image)),
            Err(error) => {
                warn_once(&format!("a texture is missing in the 3D view: {error}"));
                None
            }
        };
        self.images.push(CacheEntry {
            key,
            value: value.clone(),
            used: self.scene,
        });
        value
    }
}

/// Uploads a mesh; none if it is empty, which needs no drawing.
fn upload_mesh(meshes: &mut Assets<Mesh>, shape: Shape) -> Option<CachedMesh> {
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
    Some(CachedMesh {
        mesh: meshes.add(mesh),
        low,
        high,
    })
}
