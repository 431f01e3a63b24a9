"""How much disk the store takes, by kind; what can be freed; data sets that no run needs."""

import html

import streamlit as st

from app import storage, uploads, words
from app.storage import Rest, UnusedDataSet
from transfer import store
from transfer.errors import TransferError

_ASKED = "disk_asked"  # the data set that is perhaps to be deleted
_FRESH = 60.0  # seconds for which the figures are kept: reading them goes through all files


def disk(say: str) -> None:
    """Draw it.

    Args:
        say: the key of the session under which a sentence is left for the next run of the page.
    """
    look = _look(str(store.home()))
    st.html(_bars(look[0]))
    _free(look[1], say)
    _data_sets(look[2], say)


def forget() -> None:
    """Look anew at the next run: something was removed or came in."""
    _look.clear()


@st.cache_data(ttl=_FRESH, show_spinner="Counting what is on the disk ...", max_entries=8)
def _look(home: str) -> tuple[dict[str, int], tuple[Rest, ...], list[UnusedDataSet]]:  # noqa: ARG001
    return storage.used(), storage.unused(), storage.unused_data_sets()


def _bars(used: dict[str, int]) -> str:
    total = sum(used.values())
    most = max(used.values()) or 1
    rows = "".join(
        f'<div class="bar-row disk"><span class="name">{html.escape(storage.KINDS[kind])}</span>'
        f'<span class="track"><span class="fill" style="display:block;width:{100 * n / most:.1f}%">'
        f'</span></span><span class="share">{words.size(n)}</span></div>'
        for kind, n in used.items()
        if n
    )
    return (
        f'<p class="number"><span class="class-name">{words.size(total)} in all</span><span'
        f' class="quiet">, {words.size(uploads.free_bytes())} are free on this disk.</span></p>'
        f"{rows}"
    )


def _free(rests: tuple[Rest, ...], say: str) -> None:
    if not rests:
        st.html('<p class="quiet">Nothing to clean up: all of it is needed.</p>')
        return
    rows = "".join(
        f'<tr><td>{html.escape(rest.what)}</td><td class="right">{words.size(rest.bytes)}</td></tr>'
        for rest in rests
    )
    total = words.size(sum(rest.bytes for rest in rests))
    st.html(
        '<p class="class-name">What can go: nothing needs it</p>'
        f'<div class="scroll"><table class="plain rests">{rows}</table></div>'
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button(f"Free {total}", key="free", help="No run and no data set goes with it."):
            freed = storage.free()
            _done(say, f"{words.size(freed)} are free again.")


def _data_sets(unused: list[UnusedDataSet], say: str) -> None:
    """Offer the data sets of which no run learned, one by one."""
    if not unused:
        return
    st.html(
        '<p class="class-name">Data sets that no run here learned from</p>'
        '<p class="small quiet">Keep those that you still mean to train with.</p>'
    )
    with st.container(key="unused_sets", gap=None):
        for one in unused:
            _data_set(one, say)


def _data_set(one: UnusedDataSet, say: str) -> None:
    digest, name = one.data_set.digest, one.data_set.name
    pictures = words.many(one.data_set.pictures, "picture")
    with st.container(key=f"unusedset_{digest}", horizontal=True, vertical_alignment="center"):
        st.html(
            f'<p><span class="class-name">{html.escape(name)}</span> <span class="quiet small'
            f' number">{pictures}, {words.size(one.bytes)}</span></p>'
        )
        st.button(
            "Delete",
            key=f"delete_{digest}",
            help=f"Delete {words.plain(name)}",
            on_click=_ask,
            args=(digest,),
        )
    if st.session_state.get(_ASKED) != digest:
        return
    st.warning(
        f"Really delete ‘{words.plain(name)}’? Its {pictures} go from this machine for good, and"
        f" {words.size(one.bytes)} are free again. The files that you uploaded are not touched.",
        icon=":material/warning:",
    )
    with st.container(horizontal=True):
        if st.button("Delete for good", key=f"really_{digest}"):
            _ask(None)
            try:
                freed = storage.delete_data_set(digest)
            except TransferError as problem:
                forget()
                st.error(words.plain(str(problem)), icon=":material/error:")
                return
            _done(say, f"‘{name}’ is deleted. {words.size(freed)} are free again.")
        st.button("Keep it", key=f"keep_{digest}", on_click=_ask, args=(None,))


def _ask(digest: str | None) -> None:
    st.session_state[_ASKED] = digest


def _done(say: str, sentence: str) -> None:
    forget()
    st.session_state[say] = sentence
    st.rerun()
