// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
// What rust_v0.txt has the names of.
#![feature(adt_const_params, unsized_const_params, pattern_types, pattern_type_macro)]
#![allow(dead_code, incomplete_features, internal_features)]

use std::fmt::{Debug, Display};
use std::marker::ConstParamTy;

pub mod shapes {
    pub struct Squares<T, const N: usize>(pub [T; N]);
    pub trait Area {
        fn area(&self) -> u64;
    }
    impl<T: Copy + Into<u64>, const N: usize> Area for Squares<T, N> {
        fn area(&self) -> u64 {
            self.0.iter().map(|side| (*side).into()).sum()
        }
    }
    impl<T, const N: usize> Squares<T, N> {
        pub fn each<F: FnMut(&T)>(&self, mut f: F) {
            for side in &self.0 {
                f(side)
            }
        }
    }
    impl<T, const N: usize> Drop for Squares<T, N> {
        fn drop(&mut self) {}
    }
}
use shapes::{Area, Squares};

pub mod 文字 {
    pub struct Ünïcode;
    impl Ünïcode {
        pub fn наме(&self) {}
    }
}

#[derive(PartialEq, Eq, ConstParamTy)]
pub enum Mode {
    Off,
    Level(u8),
    Named { id: i32, tag: char },
}

pub trait Assigned<'a, T> {
    type Out;
}

fn of<T: ?Sized>() {}
fn show<T: ?Sized>(_: &T) {}
fn größe<T>(_: T) {}
fn flags<const B: bool, const C: char, const I: i8, const U: u128>() {}
fn with<const M: Mode>() {}
fn text<const S: &'static str>() {}
fn many<const A: [u8; 3], const T: (bool, i8), const R: &'static [char]>() {}
async fn later(x: u8) -> u8 {
    x
}

static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
thread_local!(static LOCAL: std::cell::Cell<u32> = std::cell::Cell::new(3));

fn main() {
    let squares = Squares([1u32, 2, 3]);
    squares.area();
    let mut n = 0;
    squares.each(|side| {
        n += side;
        let mut more = || n += 1;
        more();
        show(&more)
    });
    show::<dyn Display>(&n);
    show(&later(3));
    größe(3u8);
    größe(文字::Ünïcode);
    文字::Ünïcode.наме();
    LOCAL.with(|local| local.set(4));
    COUNT.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    let boxed: Box<dyn FnOnce(u8) -> u8> = Box::new(move |x| x + n as u8);
    boxed(1);

    of::<str>();
    of::<(u8, (), [i16; 4], [u16])>();
    of::<[[char; 2]; 3]>();
    of::<(f32, f64, i64, u64, i128, u128, isize, usize, bool)>();
    of::<&mut Option<Result<Vec<Box<dyn std::error::Error>>, String>>>();
    of::<fn(u8) -> (u8,)>();
    of::<extern "system" fn()>();
    of::<unsafe extern "C" fn(*const u8, *mut i32, ...) -> !>();
    of::<for<'a> fn(&'a dyn for<'b> Assigned<'a, &'b u8, Out = f64>)>();
    of::<dyn Debug + Send>();
    of::<dyn Iterator<Item = &'static str>>();
    of::<dyn for<'a> Fn(&'a str, &mut [u8]) -> &'a u8>();

    flags::<false, 'y', { i8::MIN }, 0>();
    flags::<true, '\n', -7, 18446744073709551615>();
    flags::<false, '\'', 127, { u128::MAX }>();
    flags::<false, 'é', 0, 255>();
    with::<{ Mode::Off }>();
    with::<{ Mode::Level(3) }>();
    with::<{ Mode::Named { id: -4, tag: '\t' } }>();
    text::<"héllo \"w\"\n\u{200b}'">();
    many::<{ [1, 2, 3] }, { (true, -1) }, { &['a', '\''] }>();
    of::<std::pat::pattern_type!(u32 is 1..=9)>();
}
