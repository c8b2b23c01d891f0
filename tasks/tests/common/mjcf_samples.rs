//! Small good files of the formats that LIBERO's models come in.

/// Category that [`MODEL`] is read as; that of LIBERO has a burner that is drawn while the button is turned on.
pub const CATEGORY: &str = "flat_stove";

/// A fixture with a part on a hinge, a mesh that exists (`hull.stl`), one that does not, and most notations of MJCF.
pub const MODEL: &str = r#"<mujoco model="thing">
  <compiler angle="degree" eulerseq="zyx" meshdir="."/>
  <default>
    <geom friction="0.9 0.1 0.1"/>
    <default class="part"><geom group="0" condim="4" type="box"/></default>
  </default>
  <asset>
    <texture name="wood" type="2d" file="wood.png"/>
    <material name="wood" texture="wood" specular="0.2" texrepeat="2 2" texuniform="true"/>
    <mesh name="vis" file="vis.msh" scale="0.5 0.5 0.5"/>
    <mesh name="hull" file="hull.stl" scale="0.1 0.1 0.1"/>
  </asset>
  <worldbody><body>
    <body name="object">
      <geom type="mesh" mesh="vis" contype="0" conaffinity="0" group="1" material="wood"/>
      <geom class="part" size="0.1 0.1 0.05" euler="0 0 90" mass="0.3"/>
      <geom type="mesh" mesh="hull" group="0" density="100"/>
      <site name="burner" type="box" size="0.1 0.1 0.01" pos="0 0 0.05"/>
      <body name="door" pos="0.1 0 0" xyaxes="1 0 0 0 1 0">
        <inertial mass="0.2" pos="0 0 0" fullinertia="0.1 0.1 0.1 0 0 0.01"/>
        <joint name="button" axis="0 0 1" pos="0.05 0 0" range="-90 0" damping="0.5"/>
        <geom type="capsule" fromto="0 0 0 0 0 0.1" size="0.01"/>
        <geom type="cylinder" size="0.01 0.1" axisangle="1 0 0 90" group="1" contype="0" conaffinity="0"/>
      </body>
    </body>
    <site name="bottom_site" pos="0 0 -0.06"/>
    <site name="top_site" pos="0 0 0.04"/>
    <site name="horizontal_radius_site" pos="0.025 0.025 0"/>
  </body></worldbody>
</mujoco>
"#;

/// A scene with floor and table.
pub const SCENE: &str = r#"<mujoco model="scene">
  <asset>
    <texture file="tiles.png" type="2d" name="texplane"/>
    <material name="floorplane" reflectance="0.01" texrepeat="2 2" texture="texplane"/>
  </asset>
  <worldbody>
    <light pos="1 1 4" dir="0 -0.1 -0.9" diffuse="0.8 0.8 0.8" directional="false"/>
    <geom name="floor" type="plane" size="3 3 .125" material="floorplane" condim="3" group="1"/>
    <body name="table" pos="0 0 0.4">
      <geom type="box" size="0.4 0.4 0.4" friction="1 0.005 0.0001" group="0"/>
      <geom type="box" size="0.4 0.4 0.4" contype="0" conaffinity="0" group="1"/>
      <geom type="cylinder" size="0.02 0.4" contype="0" conaffinity="0" group="1"/>
      <site name="table_top" pos="0 0 0.4" size="0.001 0.001 0.001" rgba="0 0 0 0"/>
    </body>
  </worldbody>
</mujoco>
"#;

/// A triangle, twice: the second face counts back.
pub const OBJ: &str = "# comment\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nvn 0 0 1\n\
                       f 1/1/1 2/2/1 3/3/1\nf -3//1 -2//1 -1//1\n";

/// A tetrahedron as binary STL.
pub fn stl() -> Vec<u8> {
    let corners = [
        [0.0f32, 0.0, 0.0],
        [1.0, 0.0, 0.0],
        [0.0, 1.0, 0.0],
        [0.0, 0.0, 1.0],
    ];
    let mut bytes = vec![0; 80];
    bytes.extend(4u32.to_le_bytes());
    for face in [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]] {
        bytes.extend([0; 12]);
        for number in face.iter().flat_map(|&i: &usize| corners[i]) {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend([0, 0]);
    }
    bytes
}

/// A triangle in MuJoCo's own format, with normals and texture coordinates.
pub fn msh() -> Vec<u8> {
    let mut bytes = Vec::new();
    for count in [3i32, 3, 3, 1] {
        bytes.extend(count.to_le_bytes());
    }
    for k in 0..24u8 {
        bytes.extend(f32::from(k).to_le_bytes());
    }
    for id in 0..3u32 {
        bytes.extend(id.to_le_bytes());
    }
    bytes
}
