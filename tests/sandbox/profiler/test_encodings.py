"""The encoding of a text is told by what it would say."""

import pytest

from sandbox.profiler.encodings import encoding_of

TEXTS = {
    "cp1252": "Straße;Größe\nKöln;1\nDüsseldorf;2\nMünchen;3\n",
    "cp1250": "Miasto;Ludność\nŁódź;1,5\nGdańsk;2,5\n",
    "cp1251": "Город;Население\nМосква;12,5\nКазань;1,25\n",
    "koi8_r": "Город;Население\nМосква;12,5\nКазань;1,25\n",
    "cp866": "Город;Население\nМосква;12,5\nКазань;1,25\n",
    "cp1253": "Πόλη;Τιμή\nΑθήνα;1,5\nΠάτρα;2,5\n",
    "cp1254": "Şehir;Değer\nİstanbul;1,5\nEskişehir;2\nAğrı;3\n",
    "cp850": "Straße;Größe\nMühlweg;1,5\nKölnstraße;2\n",
    "mac_roman": "Prénom;Âge\nÉlodie à la plage;12\nFrançois;34\nHélène;5\n",
    "gb18030": "日期,城市,数量\n2024年3月1日,北京市,12\n2024年3月2日,上海市,7\n",
    "big5": "城市,人口\n臺北市,2600000\n高雄市,2700000\n",
    "cp932": "名前,年齢\n田中さくら,20\n佐藤たろう,30\n",
    "euc_jp": "名前,年齢\n田中さくら,20\n佐藤たろう,30\n",
    "cp949": "이름,나이\n김철수,20\n이영희,30\n",
    "iso2022_jp": "名前,値段\n東京都,1200\n大阪府,3400\n",
    "iso8859_15": "Größe;Preis\nKöln;5 €\nUlm;6 €\n",
    "utf-8": "größe,名\n1,2\n",
    "utf-16": "größe,名\n1,2\n",
    "utf-32": "größe,名\n1,2\n",
    "utf-16-le": "a,b\n1,2\n",
    "utf-16-be": "a,b\n1,2\n",
    "utf-8-sig": "a,b\n1,2\n",
}


def told(data: bytes) -> str | None:
    return encoding_of(data[: 1 << 16], iter([data[place : place + 999] for place in range(0, len(data), 999)]))


@pytest.mark.parametrize("encoding", TEXTS)
def test_an_encoding_is_told_by_its_language(encoding: str) -> None:
    assert told(TEXTS[encoding].encode(encoding)) == encoding


@pytest.mark.parametrize("encoding", TEXTS)
def test_a_long_text_is_told_by_lines_far_from_its_beginning(encoding: str) -> None:
    if not encoding.startswith("utf-"):
        assert encoding == "iso2022_jp" or told(b"a,b\n" * 30_000 + TEXTS[encoding].encode(encoding)) == encoding


WESTERN = ("Äpfel;1,5\nBirnen;2\n", "prix en €\n", "café,\n", "naïve", "5 °C\n", "l\u2019été \u201coui\u201d\n")


@pytest.mark.parametrize("text", WESTERN)
def test_a_few_western_characters_are_not_taken_for_chinese(text: str) -> None:
    assert told(text.encode("cp1252")) == "cp1252"


def test_letters_of_two_scripts_in_a_word_are_no_language() -> None:
    assert told("a,b\nKöln,1\n".encode() + "Düren,2\n".encode("latin-1")) == "cp1252"
    assert told("Preis\n5 €\n6 €\n".encode("iso8859_15")) == "iso8859_15"


@pytest.mark.parametrize("data", [bytes(100), bytes(range(256)) * 4, b"\x00\x01\x02\x03a\x00b"])
def test_what_is_no_text_has_none(data: bytes) -> None:
    assert told(data) is None


def test_a_text_with_single_zero_bytes_is_a_text() -> None:
    assert told(b"name,value\nfirst,\x001\n") == "utf-8"
