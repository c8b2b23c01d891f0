mod common;
use bitvla_sim::World;
use common::*;
#[test]
fn dbg(){
 let d=reference("osc_responses.json").unwrap();
 let p=bitvla_sim::panda::Panda::new(&panda_model(), bitvla_sim::isometry([-0.66,0.,0.912],[1.,0.,0.,0.])).unwrap();
 let k=p.kinematics(&bitvla_sim::panda::Joints::from(bitvla_sim::panda::RESET_QPOS));
 println!("{} {}", k.grip_site.rotation.to_rotation_matrix(), k.grip_site.translation.vector);
 for s in d["sequences"].as_array().unwrap(){ let name=s["name"].as_str().unwrap(); if name!="dummy_40" && name!="impulse_rz_+1" {continue;}
  println!("{name} {:?}", s["start"]);
  let start=numbers(&s["start"]["qpos9"]);
  let mut w=World::new(&table_scene(vec![])).unwrap(); w.set_robot_qpos(&std::array::from_fn(|i| start[i]));
  for (i,a) in s["actions"].as_array().unwrap().iter().enumerate(){ let a=numbers(a); w.step(&std::array::from_fn(|k| a[k])).unwrap();
   if i<8 || i==39 {let q=numbers(&s["end_qpos9"][i]); let (mq,mv)=w.robot_state(); let v=numbers(&s["end_qvel9"][i]);let t=numbers(&s["last_torque"][i]);
   println!("{i} q  {:?}\n   mq {:?}\n   v  {:?}\n   mv {:?}\n   t {:?}\n   mt {:?}", q,mq.as_slice(),v,mv.as_slice(),t,w.last_torque());}
  }
 }
}
