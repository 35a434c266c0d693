//! x
use bundlecp::copy::*;
fn main() {
    let a: Vec<std::path::PathBuf> = std::env::args_os().skip(1).map(Into::into).collect();
    let (d, s) = a.split_last().unwrap();
    let mut o = Options::default();
    if let Ok(j) = std::env::var("J") { o.jobs = Some(j.parse().unwrap()); }
    match copy(s, d, &o, &bundlecp::Silent) { Ok(o) => println!("{o:?}"), Err(e) => { println!("{e:?}"); std::process::exit(1) } }
}
