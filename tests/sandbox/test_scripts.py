"""One reading in many scripts."""

from gateway.sandbox import scripts


def test_scripts() -> None:
    assert scripts.as_it_is("ガッショウ") == "ガッショウ"
    assert scripts.hiragana("ガッショウ") == "がっしょう"
    assert scripts.half_width("ガッショウパー") == "ｶﾞｯｼｮｳﾊﾟｰ"
    assert scripts.large_half_width("ショウ") == "ｼﾖｳ"
    assert scripts.dashed("サトウ") == "サトー"
    assert scripts.kunrei("ショウタハットリ") == "SYOUTAHATTORI"
    assert scripts.hepburn("ショウツチフジ") == "SHOUTSUCHIFUJI"
    assert scripts.passport("ショウジンバ") == "SHOJIMBA"
