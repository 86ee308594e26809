//! Writes the Rust code of `execution.proto` and its descriptor set (for gRPC reflection) into a folder.
//!
//! Run by `schemas/generate.py`: `bridge-codegen SCHEMAS_DIR OUT_DIR`. No protoc is needed: protox compiles.

use prost::Message as _;
use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let (Some(schemas), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bridge-codegen SCHEMAS_DIR OUT_DIR".into());
    };
    let descriptors = protox::compile(["execution.proto"], [&schemas])?;
    fs::write(out.join("execution_descriptor.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().out_dir(&out).compile_fds(descriptors)?;
    // prost names the file after the package; ours is named after the schema.
    fs::rename(out.join("smc_trading.execution.rs"), out.join("execution.rs"))?;
    Ok(())
}
