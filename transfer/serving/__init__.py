"""Answer over HTTP what is on pictures: the process behind `python -m transfer serve`.

    GET  /health                    whether it answers, which models are in memory
    GET  /models                    the models that can be asked
    GET  /models/NAME               the classes of one; loads it, so that its first answer is fast
    POST /models/NAME/predict       pictures in, answers out
    GET  /openapi.json, /docs       the same, for programs and for people

A request holds the bytes of one picture as its body, or several as files of a form. Its pictures
are decoded as everywhere here, put into one batch with those of other requests that wait for the
same model, and answered by the model as it ships.

The app starts one for itself, on a socket of its user alone in the store; it is asked for pictures
of a data set, too (`POST /preview`, see `shown`), leaves when nobody asks, and is replaced by the
page that asks next. In the store, `predictor.lock` is held for as long as that process lives, and
`predictor.json`, {"socket", "pid"}, is there while it takes questions.

Modules: `limits`, `sources` (which models there are), `loaded` and `models` (those in memory),
`batching`, `intake` (bodies within limits), `api` and `schema` (the routes and what they say),
`guide` (/docs), `sockets` and `process` (where it listens, and until when).
"""
