// Simple shading for software rendering: one directional light with a shadow, hemispheric ambient light, and a weak
// headlight. Constants follow lighting.rs.

#import bevy_pbr::forward_io::VertexOutput
#import bevy_pbr::mesh_view_bindings::{
    view, lights, directional_shadow_textures, directional_shadow_textures_comparison_sampler
}

struct SimpleMaterial {
    // Linear RGB and opacity.
    color: vec4<f32>,
    // Emission (rgb) and specular exponent (w).
    emission: vec4<f32>,
    // Texture repeat (xy) and specular strength (z).
    repeat_and_gloss: vec4<f32>,
}

@group(#{MATERIAL_BIND_GROUP}) @binding(0) var<uniform> material: SimpleMaterial;
#ifdef TEXTURED
@group(#{MATERIAL_BIND_GROUP}) @binding(1) var color_texture: texture_2d<f32>;
@group(#{MATERIAL_BIND_GROUP}) @binding(2) var color_sampler: sampler;
#endif

const SKY: vec3<f32> = vec3<f32>(0.29, 0.31, 0.33);
const GROUND: vec3<f32> = vec3<f32>(0.15, 0.145, 0.14);
const HEADLIGHT: f32 = 0.12;
const KEY_LIGHT: vec3<f32> = vec3<f32>(0.66, 0.635, 0.60);
const KNEE: f32 = 0.6;
// Distance between shadow map samples, texels.
const SAMPLE_SPACING: f32 = 1.3;

fn sample_shadow(uv: vec2<f32>, map: i32, depth: f32) -> f32 {
    return textureSampleCompareLevel(
        directional_shadow_textures,
        directional_shadow_textures_comparison_sampler,
        uv,
        map,
        depth,
    );
}

// Visibility of the light, 0 to 1.
fn lit(at: vec3<f32>, normal: vec3<f32>) -> f32 {
    let light = &lights.directional_lights[0];
    let cascade = &(*light).cascades[0];
    let toward = (*light).direction_to_light;
    let off = at + normal * ((*light).shadow_normal_bias * (*cascade).texel_size)
        + toward * (*light).shadow_depth_bias;
    let clip = (*cascade).clip_from_world * vec4<f32>(off, 1.0);
    if (any(abs(clip.xy) > vec2<f32>(1.0)) || clip.z < 0.0 || clip.z > 1.0) {
        return 1.0;
    }
    let uv = clip.xy * vec2<f32>(0.5, -0.5) + vec2<f32>(0.5);
    let map = i32((*light).depth_texture_base_index);
    // Four bilinear samples soften the edge.
    let r = SAMPLE_SPACING / vec2<f32>(textureDimensions(directional_shadow_textures));
    return 0.25 * (sample_shadow(uv + r * vec2<f32>(0.4, 1.0), map, clip.z)
        + sample_shadow(uv + r * vec2<f32>(-1.0, 0.4), map, clip.z)
        + sample_shadow(uv + r * vec2<f32>(-0.4, -1.0), map, clip.z)
        + sample_shadow(uv + r * vec2<f32>(1.0, -0.4), map, clip.z));
}

@fragment
fn fragment(in: VertexOutput) -> @location(0) vec4<f32> {
    var color = material.color;
#ifdef TEXTURED
    color *= textureSample(color_texture, color_sampler, in.uv * material.repeat_and_gloss.xy);
#endif
#ifdef UNLIT
    return color;
#else
    let normal = normalize(in.world_normal);
    let eye = normalize(view.world_position - in.world_position.xyz);
    let toward = lights.directional_lights[0].direction_to_light;
    let lambert = dot(normal, toward);
    var light = mix(GROUND, SKY, normal.z * 0.5 + 0.5) + HEADLIGHT * max(dot(normal, eye), 0.0);
    var shine = 0.0;
    if (lambert > 0.0) {
        let arrives = lit(in.world_position.xyz, normal);
        light += KEY_LIGHT * (lambert * arrives);
#ifdef GLOSSY
        let half_way = max(dot(normal, normalize(eye + toward)), 0.0);
        shine = material.repeat_and_gloss.z * arrives * pow(half_way, material.emission.w);
#endif
    }
    let sum = color.rgb * light + material.emission.rgb + vec3<f32>(shine);
    // Values above the knee approach white asymptotically.
    let over = max(sum - vec3<f32>(KNEE), vec3<f32>(0.0));
    return vec4<f32>(min(sum, vec3<f32>(KNEE)) + over / (1.0 + over / (1.0 - KNEE)), color.a);
#endif
}
