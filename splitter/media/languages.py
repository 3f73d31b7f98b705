"""Convert language tags from BCP 47, which Matroska uses, to ISO 639-2, which MP4 uses."""

from __future__ import annotations

from typing import Final

_UNKNOWN: Final = "und"
_LETTERS: Final = 3

_PAIRS: Final = """
    aaaar ababk aeave afafr akaka amamh anarg arara asasm avava ayaym azaze babak bebel bgbul
    bhbih bibis bmbam bnben bobod brbre bsbos cacat ceche chcha cocos crcre csces cuchu cvchv
    cycym dadan dedeu dvdiv dzdzo eeewe elell eneng eoepo esspa etest eueus fafas ffful fifin
    fjfij fofao frfra fyfry gagle gdgla glglg gngrn guguj gvglv hahau heheb hihin hohmo hrhrv
    hthat huhun hyhye hzher iaina idind ieile igibo iiiii ikipk inind ioido isisl itita iuiku
    iwheb jajpn jiyid jvjav jwjav kakat kgkon kikik kjkua kkkaz klkal kmkhm knkan kokor krkau
    kskas kukur kvkom kwcor kykir lalat lbltz lglug lilim lnlin lolao ltlit lulub lvlav mgmlg
    mhmah mimri mkmkd mlmal mnmon momol mrmar msmsa mtmlt mymya nanau nbnob ndnde nenep ngndo
    nlnld nnnno nonor nrnbl nvnav nynya ococi ojoji omorm orori ososs papan pipli plpol pspus
    ptpor quque rmroh rnrun roron rurus rwkin sasan scsrd sdsnd sesme sgsag shhbs sisin skslk
    slslv smsmo snsna sosom sqsqi srsrp ssssw stsot susun svswe swswa tatam tetel tgtgk ththa
    titir tktuk tltgl tntsn toton trtur tstso tttat twtwi tytah uguig ukukr ururd uzuzb veven
    vivie vovol wawln wowol xhxho yiyid yoyor zazha zhzho zuzul
"""
_CODES: Final = {pair[:2]: pair[2:] for pair in _PAIRS.split()}
"""ISO 639-1 to ISO 639-2/T; withdrawn codes included."""


def alpha3(tag: str) -> str:
    """Return the three letters that MP4 stores for a language tag; ``und`` if there are none.

    >>> alpha3("en-US"), alpha3("deu"), alpha3("x-klingon")
    ('eng', 'deu', 'und')
    """
    language = tag.replace("_", "-").split("-")[0].lower()
    if len(language) == _LETTERS and language.isascii() and language.isalpha():
        return language
    return _CODES.get(language, _UNKNOWN)
