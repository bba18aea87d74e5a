use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;

/// A frame in less room than a [`Frame`] takes.
pub(super) enum Kept {
    Data(Bytes),
    Trailers(Box<HeaderMap>),
}

impl Kept {
    pub(super) fn of(frame: &Frame<Bytes>) -> Option<Self> {
        let data = frame.data_ref().map(|data| Self::Data(data.clone()));
        data.or_else(|| Some(Self::Trailers(Box::new(frame.trailers_ref()?.clone()))))
    }

    pub(super) fn frame(&self) -> Frame<Bytes> {
        match self {
            Self::Data(data) => Frame::data(data.clone()),
            Self::Trailers(trailers) => Frame::trailers(HeaderMap::clone(trailers)),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Trailers(_) => 0,
        }
    }
}
