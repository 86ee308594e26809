//! The few functions of libzmq that a ROUTER needs, from a shared library loaded at run time (zmq.h of 4.3).
#![allow(unsafe_code)]

use crate::Failure;
use libloading::Library;
use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    path::Path,
    ptr::NonNull,
};

const ROUTER: c_int = 6;
const SNDMORE: c_int = 2;
const LINGER: c_int = 17;
const LAST_ENDPOINT: c_int = 32;
const LONGEST_ENDPOINT: usize = 1024;

type Bind = unsafe extern "C" fn(*mut c_void, *const c_char) -> c_int;
type Receive = unsafe extern "C" fn(*mut c_void, *mut c_void, usize, c_int) -> c_int;
type Send = unsafe extern "C" fn(*mut c_void, *const c_void, usize, c_int) -> c_int;
type SetOption = unsafe extern "C" fn(*mut c_void, c_int, *const c_void, usize) -> c_int;
type GetOption = unsafe extern "C" fn(*mut c_void, c_int, *mut c_void, *mut usize) -> c_int;

/// A bound ROUTER socket of one thread. It lives as long as the process, and so does the library.
pub struct Router {
    socket: NonNull<c_void>,
    receive: Receive,
    send: Send,
    get_option: GetOption,
}

impl Router {
    /// Loads libzmq and binds a ROUTER.
    ///
    /// # Errors
    /// There is no libzmq at that path, or it cannot bind.
    pub fn bind(library: &Path, endpoint: &str) -> Result<Self, Failure> {
        // SAFETY: loading runs the library's initialisers; it is pyzmq's own libzmq, named by whoever runs the bench.
        // It is leaked: its I/O threads and the functions below need it until the process ends.
        let library: &'static Library = Box::leak(Box::new(unsafe { Library::new(library) }?));
        // SAFETY: names and signatures are those of zmq.h 4.3, which are stable within major version 4.
        let router = unsafe {
            let context_new: unsafe extern "C" fn() -> *mut c_void = *library.get(b"zmq_ctx_new\0")?;
            let socket_of: unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void = *library.get(b"zmq_socket\0")?;
            let context = NonNull::new(context_new()).ok_or("zmq_ctx_new failed")?;
            let socket = NonNull::new(socket_of(context.as_ptr(), ROUTER)).ok_or("zmq_socket failed")?;
            Self {
                socket,
                receive: *library.get(b"zmq_recv\0")?,
                send: *library.get(b"zmq_send\0")?,
                get_option: *library.get(b"zmq_getsockopt\0")?,
            }
        };
        // SAFETY: as above; the strings and the option outlive the calls.
        unsafe {
            let set_option: SetOption = *library.get(b"zmq_setsockopt\0")?;
            let bind: Bind = *library.get(b"zmq_bind\0")?;
            let no_linger: c_int = 0;
            let size = size_of::<c_int>();
            set_option(router.socket.as_ptr(), LINGER, (&raw const no_linger).cast(), size);
            let wanted = CString::new(endpoint)?;
            if bind(router.socket.as_ptr(), wanted.as_ptr()) != 0 {
                return Err(format!("libzmq cannot bind {endpoint}: {}", std::io::Error::last_os_error()).into());
            }
        }
        Ok(router)
    }

    /// Where it is bound, with the port that it took.
    ///
    /// # Errors
    /// libzmq does not say.
    pub fn endpoint(&self) -> Result<String, Failure> {
        let mut text = [0u8; LONGEST_ENDPOINT];
        let mut size = text.len();
        // SAFETY: libzmq writes at most `size` bytes, and how many it wrote into `size`.
        let done =
            unsafe { (self.get_option)(self.socket.as_ptr(), LAST_ENDPOINT, text.as_mut_ptr().cast(), &raw mut size) };
        if done != 0 {
            return Err("libzmq does not say where it is bound".into());
        }
        Ok(CStr::from_bytes_until_nul(&text)?.to_str()?.to_owned())
    }

    /// Waits for the next part of a message. What is longer than the buffer is cut off.
    ///
    /// # Errors
    /// libzmq failed.
    pub fn receive<'a>(&mut self, buffer: &'a mut [u8]) -> Result<&'a [u8], Failure> {
        // SAFETY: libzmq writes at most `buffer.len()` bytes and returns the part's whole length.
        let length = unsafe { (self.receive)(self.socket.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        let length = usize::try_from(length).map_err(|_| std::io::Error::last_os_error())?;
        let length = length.min(buffer.len());
        Ok(&buffer[..length])
    }

    /// Sends one message of two parts: to whom, and what. To a peer that is gone it is dropped, as ROUTER does.
    ///
    /// # Errors
    /// libzmq failed.
    pub fn send(&mut self, identity: &[u8], message: &[u8]) -> Result<(), Failure> {
        for (part, flags) in [(identity, SNDMORE), (message, 0)] {
            // SAFETY: libzmq copies the bytes before it returns.
            if unsafe { (self.send)(self.socket.as_ptr(), part.as_ptr().cast(), part.len(), flags) } < 0 {
                return Err(std::io::Error::last_os_error().into());
            }
        }
        Ok(())
    }
}
