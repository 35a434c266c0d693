//! What an archive says it holds, without extracting it.
//!
//! Where there is an index, no content is read; anything else is read from
//! front to end. Nothing is judged: members come as the archive spells them.

use std::io::Read;

use crate::codec::{Codec, DecodeOptions, decoder};
use crate::entry::Member;
use crate::error::{Refusal, Result};
use crate::format::bcp::{keep_all, read_index};
use crate::format::tar;

use super::directory::Directory;
use super::tar_stream::{Piece, Step, TarStream};
use super::{Input, Kind, Opened, Sequential, index};

/// Calls `each` with every member of `opened`, in the archive's order. Returns the hash
/// that names all of it, where its format has one.
pub(crate) fn for_each(
    opened: Opened<'_>,
    options: tar::Options,
    threads: u32,
    each: &mut dyn FnMut(Member) -> Result<()>,
) -> Result<Option<[u8; 32]>> {
    let shown = opened.shown.clone();
    let refused = |refusal: Refusal| refusal.at("read", &shown);
    match (opened.kind, opened.input) {
        (Kind::Zip, Input::File(file, length)) => {
            let directory = Directory::of_zip(&file, length).map_err(refused)?;
            let members = directory.members(&file).map_err(refused)?;
            members.into_iter().try_for_each(each)?;
        }
        (Kind::Zip, Input::Stream(reader)) => {
            let members = super::zip_stream::members(reader).map_err(refused)?;
            members.into_iter().try_for_each(each)?;
        }
        (Kind::PyInstaller, Input::File(file, length)) => {
            let directory = Directory::of_package(&file, length).map_err(refused)?;
            for item in directory.items() {
                each(directory.member(&file, item).map_err(refused)?)?;
            }
        }
        (Kind::PyInstaller, Input::Stream(_)) => return Err(refused(super::from_pipe())),
        (Kind::Bcp, Input::File(file, length)) => {
            let index = read_index(&file, length, &mut keep_all).map_err(refused)?;
            let members = super::bcp::into_members(index.layout.manifest);
            members.into_iter().try_for_each(each)?;
            return Ok(Some(index.root_hash));
        }
        (Kind::Bcp, Input::Stream(reader)) => {
            let (members, root_hash) = super::bcp::stream_members(reader).map_err(refused)?;
            members.into_iter().try_for_each(each)?;
            return Ok(Some(root_hash));
        }
        (Kind::Tar(codec), Input::File(file, length)) => {
            if codec == Codec::Zstd
                && let Some(index) =
                    index::read_index(&file, length, options, &mut |_| Ok(())).map_err(refused)?
            {
                index.members.into_iter().try_for_each(each)?;
                return Ok(None);
            }
            let input = Sequential::new(&file);
            let reader = decoder(codec, input, DecodeOptions { threads }).map_err(refused)?;
            read_tar(reader, options, &refused, each)?;
        }
        (Kind::Tar(codec), Input::Stream(reader)) => {
            let reader = decoder(codec, reader, DecodeOptions { threads }).map_err(refused)?;
            read_tar(reader, options, &refused, each)?;
        }
    }
    Ok(None)
}

fn read_tar(
    reader: impl Read,
    options: tar::Options,
    refused: &dyn Fn(Refusal) -> crate::error::Error,
    each: &mut dyn FnMut(Member) -> Result<()>,
) -> Result<()> {
    let mut stream = TarStream::new(reader, options);
    let mut found = Vec::new();
    loop {
        let step = stream.step(&mut |piece| {
            if let Piece::Member(member) = piece {
                found.push(member);
            }
            Ok(())
        });
        found.drain(..).try_for_each(&mut *each)?;
        if step.map_err(refused)? == Step::Ended {
            return Ok(());
        }
    }
}
