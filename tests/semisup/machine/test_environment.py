"""Tests of what is known of the machine."""

from semisup.machine import environment


def test_bfloat16_is_emulated_by_a_processor_without_its_instructions(tmp_path, monkeypatch):
    info = tmp_path / "cpuinfo"
    monkeypatch.setattr(environment, "_CPU_INFO", str(info))
    processor, accelerator = {"accelerators": []}, {"accelerators": ["H200"]}
    assert not environment.emulates_bfloat16(processor)
    info.write_text("flags\t: avx2 fma")
    assert environment.emulates_bfloat16(processor)
    assert not environment.emulates_bfloat16(accelerator)
    info.write_text("flags\t: avx512f avx512_bf16")
    assert not environment.emulates_bfloat16(processor)
