//! An nng REP socket in native code, on a shared library loaded at run time (nng.h of 1.x).
#![allow(unsafe_code)]

use crate::{Failure, desk::Desk};
use libloading::Library;
use std::{
    ffi::{CString, c_char, c_int, c_void},
    path::PathBuf,
};

/// What to serve.
#[derive(clap::Args)]
pub struct Arguments {
    /// The shared library of nng 1.x.
    #[arg(long)]
    libnng: PathBuf,
    /// Where to listen: `tcp://host:port` or `ipc://path`.
    #[arg(long)]
    url: String,
}

/// `nng_socket` is a structure of one number, and is passed as one.
#[repr(C)]
#[derive(Clone, Copy)]
struct Socket {
    id: u32,
}

type Open = unsafe extern "C" fn(*mut Socket) -> c_int;
type Listen = unsafe extern "C" fn(Socket, *const c_char, *mut c_void, c_int) -> c_int;
type Receive = unsafe extern "C" fn(Socket, *mut c_void, *mut usize, c_int) -> c_int;
type Send = unsafe extern "C" fn(Socket, *mut c_void, usize, c_int) -> c_int;

/// Far above an order.
const REQUEST_BYTES: usize = 64 << 10;

/// Prints a ready line and serves until it is killed.
///
/// # Errors
/// There is no nng, or it fails.
pub fn serve(arguments: &Arguments) -> Result<(), Failure> {
    let url = CString::new(arguments.url.as_str())?;
    let mut socket = Socket { id: 0 };
    // SAFETY: loading runs the library's initialisers; it is the nng that whoever runs the bench names. Names and
    // signatures are those of nng.h 1.x. The library lives until the end of this function, and nng's threads too.
    let library = unsafe { Library::new(&arguments.libnng) }?;
    let (receive, send) = unsafe {
        let open = library.get::<Open>(b"nng_rep0_open\0")?;
        let listen = library.get::<Listen>(b"nng_listen\0")?;
        check("open a REP socket", open(&raw mut socket))?;
        check("listen", listen(socket, url.as_ptr(), std::ptr::null_mut(), 0))?;
        (library.get::<Receive>(b"nng_recv\0")?, library.get::<Send>(b"nng_send\0")?)
    };
    println!("{}", serde_json::json!({"event": "ready", "nng": arguments.url, "pid": std::process::id()}));
    let (mut request, mut answer) = (vec![0u8; REQUEST_BYTES], Vec::new());
    let mut desk = Desk::default();
    loop {
        let mut size = request.len();
        // SAFETY: nng writes at most `size` bytes and says how many; it copies what is sent before it returns.
        check("receive", unsafe { receive(socket, request.as_mut_ptr().cast(), &raw mut size, 0) })?;
        desk.answer(&request[..size], &mut answer)?;
        check("send", unsafe { send(socket, answer.as_mut_ptr().cast(), answer.len(), 0) })?;
    }
}

fn check(what: &str, code: c_int) -> Result<(), Failure> {
    if code == 0 { Ok(()) } else { Err(format!("nng cannot {what}: error {code} of nng.h").into()) }
}
