//! `import`: a blog that stands elsewhere comes in.

mod html;
