"""Below the pictures of a data set: its versions, its name, and the button that deletes it."""

import streamlit as st

from app import datasets, state, storage, words
from transfer.errors import TransferError

# Keys of the session: why a data set was not deleted, and which one was.
_WRONG, _GONE = "administration_wrong", "administration_gone"


def administration(digest: str) -> None:
    """Offer the versions of a data set, where there are several, then to rename or delete it."""
    _versions(digest)
    _wrong()
    with st.expander("Rename or delete this data set"):
        typed = st.text_input("Name", value=datasets.title(digest), max_chars=80)
        new = " ".join(typed.split())
        if new != datasets.title(digest):
            datasets.rename(digest, new)
            st.rerun()
        using = storage.runs_using(digest)
        if using:
            names = words.plain(words.and_so_on([f"'{name}'" for name in using]))
            need = "needs" if len(using) == 1 else "need"
            st.caption(
                f"{names} learned from these pictures and {need} them to show what was right and"
                " wrong. Delete the runs first, on the page Runs, then the pictures."
            )
        size = words.size(datasets.size(digest))
        label = f"Delete these pictures from this machine ({size})"
        if st.button(label, key="delete", disabled=bool(using)):
            _confirm(digest, size)


def _versions(digest: str) -> None:
    """List the versions, the newest first, each with what was changed and a way there."""
    known = datasets.versions(digest)
    if len(known) < 2:
        return
    with st.expander(f"{words.many(len(known), 'version')} of these pictures"):
        for one in reversed(known):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                what = words.plain(". ".join(one.words)) or "As the pictures came in"
                here = " (the one that you see)" if one.digest == digest else ""
                st.markdown(f"**Version {one.number}**{here}: {what}.", width="stretch")
                if one.digest != digest and st.button("Open", key=f"version:{one.digest}"):
                    st.switch_page(state.file_of("data"), query_params={"data": one.digest})


@st.dialog("Delete these pictures?")
def _confirm(digest: str, size: str) -> None:
    if st.session_state.pop(_GONE, None) == digest:
        st.switch_page(state.file_of("data"), query_params={})
    others = len(datasets.versions(digest)) - 1
    st.write(
        f"'{words.plain(datasets.name(digest))}' goes from this machine for good and frees {size}."
        " The files that you uploaded it from are not touched."
    )
    if others > 0:
        st.write(f"Its {words.many(others, 'other version')} {'stays' if others == 1 else 'stay'}.")
    # A callback: where the page is drawn anew just then, the dialog is not, and a press in it would
    # be lost.
    st.button("Delete", type="primary", key="really", on_click=_delete, args=(digest,))
    _wrong()


def _delete(digest: str) -> None:
    try:
        storage.delete_data_set(digest)
    except TransferError as problem:  # a run has begun to learn from it meanwhile
        st.session_state[_WRONG] = str(problem)
    else:
        st.session_state[_GONE] = digest
        st.query_params.clear()


def _wrong() -> None:
    """Say once why a data set was not deleted, where it was not."""
    if problem := st.session_state.pop(_WRONG, None):
        st.error(words.plain(problem), icon=":material/error:")
