"""Files of captions, splits of images, and pairs of sentences with scores."""

import made
import numpy as np
import pytest
from PIL import Image

from multimodal import captions, data, metrics, reporting, searching, sentence_pairs
from multimodal.config import TrainConfig
from multimodal.search import SearchConfig
from multimodal.task import TASK as task
from semisup.errors import UserError


def written(folder, text, name="captions.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        'image,caption\na.jpg,"A dog, black."\n',
        "number;caption;image\n1;A dog, black.;a.jpg\n",
        "image| number| caption\na.jpg| 0| A dog, black.\n",
        "\ufeffimage\tcaption\r\na.jpg\tA dog, black.\r\n",
        "a.jpg#0\tA dog, black.\n",
        "a.jpg#0\tA dog, black.\r\n",
    ],
    ids=["commas", "semicolons", "bars", "tabs", "tokens", "carriage_returns"],
)
def test_tables_and_flickrs_tokens_are_read(text, tmp_path):
    assert captions.read(written(tmp_path, text)) == [("a.jpg", "A dog, black.", "")]


def test_only_line_feeds_end_the_lines_of_tokens(tmp_path):
    lines = [f"a{character}b.jpg#0\tA{character}dog." for character in "\x0b\x0c\x1c\x85\u2028"]
    found = captions.read(written(tmp_path, "\n".join(lines)))
    assert [f"{caption.image}#0\t{caption.text}" for caption in found] == lines


def test_a_caption_in_quotes_may_have_several_lines(tmp_path):
    text = 'image,caption\na.jpg,"A dog,\nblack."\nb.jpg,A 6" pipe.\nc.jpg,"A cow"\n'
    found = captions.read(written(tmp_path, text))
    assert [caption.text for caption in found] == ["A dog, black.", 'A 6" pipe.', "A cow"]


def test_columns_are_named_and_splits_may_be_abbreviated(tmp_path):
    path = written(tmp_path, "file,comment,part\nb/a.jpg,A cat.,Train\nc.jpg,A dog.,val\n")
    found = captions.read(path, "file", "comment", "part")
    assert found == [("b/a.jpg", "A cat.", "train"), ("c.jpg", "A dog.", "validation")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,caption\na.jpg,A dog.\n", "--image_column=image: .* it has file, caption"),
        ("image,text\na.jpg,A dog.\n", "--caption_column=caption: .* it has image, text"),
        ("image,caption\na.jpg,\n", "line 2 of the table has an empty cell"),
        ("a.jpg#0\tA dog.\nb.jpg\n", "line 2 is not NAME#0"),
        (
            "image,caption\n\na.jpg,Look, A child, dancing.\n",
            "line 3 has 4 cells, and the headings are 2: put captions with commas in quotes",
        ),
        ("image|caption\na.jpg| Left| right.\n", "captions with bars in quotes"),
        ('image,caption\na.jpg,A cat.\nb.jpg,"A dog.\nc.jpg,A cow.\n', "line 3 has a quotation"),
        ('image,caption\na.jpg,"A dog.\n', "line 2 has a quotation mark .* not close"),
        ('image,caption\na.jpg,"A dog.\nb.jpg,"A cat."\n', "line 2 has a quotation mark"),
        (f"image,caption\na.jpg,A dog.\nb.jpg,{'x' * 200_000}\n", "line 3: field larger than"),
        ("image,caption\n", "has headings, but no captions"),
        ("", "is empty"),
        ("\n\n", "is empty"),
    ],
)
def test_a_file_of_captions_that_is_not_right_is_explained(text, said, tmp_path):
    with pytest.raises(UserError, match=said):
        captions.read(written(tmp_path, text))


def test_the_file_of_captions_is_found_in_the_folder_or_asked_for(tmp_path):
    with pytest.raises(UserError, match=r"holds no file called .* give --captions=FILE"):
        captions.find(tmp_path)
    path = written(tmp_path, "a.jpg#0\tA dog.\n", "Flickr8k.token.txt")
    assert captions.find(tmp_path) == path
    written(tmp_path, "image,caption\n")
    with pytest.raises(UserError, match="more than one"):
        captions.find(tmp_path)


def located(folder, files, *names):
    """Returns the files that images are found to be, by their paths in a folder."""
    found = captions.located(
        [captions.Caption(name, "A", "") for name in names],
        folder,
        [folder / file for file in files],
    )
    return [path.relative_to(folder).as_posix() for path in found.values()]


def test_images_are_found_by_path_or_by_a_name_that_is_unique(tmp_path):
    files = ["x/a.jpg", "y/a.jpg", "y/b.jpg"]
    assert located(tmp_path, files, "y/a.jpg", "b.jpg") == ["y/a.jpg", "y/b.jpg"]
    with pytest.raises(UserError, match=r"2 images called a[.]jpg: give paths"):
        located(tmp_path, files, "a.jpg")
    with pytest.raises(UserError, match=r"lacks 1 of 2 images that have captions, such as c.jpg"):
        located(tmp_path, files, "b.jpg", "c.jpg")


@pytest.mark.parametrize(
    ("image", "file"),
    [
        ("./images/a.jpg", "images/a.jpg"),
        ("images/a.jpg", "Images/a.jpg"),
        ("images/a.jpg", "a.jpg"),
        ("images/a.jpg", "flickr/images/a.jpg"),
        ("../flickr/images/a.jpg", "images/a.jpg"),
        ("/home/ann/flickr/images/a.jpg", "images/a.jpg"),
        ("caf\u00e9/\u00e9.jpg", "cafe\u0301/e\u0301.jpg"),
        ("e\u0301.jpg", "x/\u00e9.jpg"),
    ],
)
def test_paths_may_count_from_another_folder_and_be_written_otherwise(image, file, tmp_path):
    assert located(tmp_path, [file, "x/b.jpg"], image, str(tmp_path / file)) == [file, file]


@pytest.mark.parametrize(
    "files", [["cats/1.jpg"], ["1.jpg", "dogs/2.jpg"], ["old/dogs/1.jpg", "dogs/2.jpg"]]
)
def test_an_image_that_is_missing_from_its_folder_is_not_found_in_another(files, tmp_path):
    with pytest.raises(UserError, match=r"lacks 1 of 1 images .* such as dogs/1.jpg"):
        located(tmp_path, files, "dogs/1.jpg")


def test_images_of_different_folders_are_not_one_file(tmp_path):
    with pytest.raises(UserError, match=r"dogs/1.jpg and cats/1.jpg would both be .*1.jpg: give"):
        located(tmp_path, ["1.jpg"], "dogs/1.jpg", "1.jpg", "cats/1.jpg")


def test_the_folds_share_out_the_images_whatever_the_seed_of_the_training():
    tested = [np.flatnonzero(data.folds(21, 3, fold) == "test") for fold in range(5)]
    assert sorted(np.concatenate(tested)) == list(range(21))
    assert {len(each) for each in tested} == {4, 5}
    assert not np.array_equal(data.folds(21, 4, 0), data.folds(21, 3, 0))


def config(folder, **settings):
    return TrainConfig(**made.settings(folder, architecture="EfficientNetV2B0", **settings))


def test_a_column_of_splits_decides_and_the_rest_is_left_out(tmp_path):
    folder = made.photos(tmp_path / "photos", each=1)
    lines = (folder / "captions.csv").read_text().splitlines()
    splits = ["split", *np.repeat(["train", "train", "test", "extra"], 4)]
    written(folder, "\n".join(f"{a},{b}" for a, b in zip(lines, splits, strict=True)))
    train, test, notes = data.load(config(tmp_path))
    assert (len(train.images), len(test.images)) == (4, 2)
    assert len(train.captions) == 8
    assert list(test.numbers) == [0, 0, 1, 1]
    assert notes[-1] == "4 images to train with, 2 to test on"
    with pytest.raises(UserError, match="--fold=1 has no effect"):
        data.load(config(tmp_path, fold=1))


def test_an_image_under_two_names_counts_once(tmp_path):
    folder = made.photos(tmp_path / "photos", each=1)
    first, *lines = (folder / "captions.csv").read_text().splitlines()
    lines[::2] = [f"./images/{line}" for line in lines[::2]]
    written(folder, "\n".join([first, *lines]))
    train, test, _ = data.load(config(tmp_path))
    assert len(train.images) + len(test.images) == 8
    assert list(test.numbers) == [0, 0, 1, 1]
    train_captions, test_captions = ({text.lower() for text in x.captions} for x in (train, test))
    assert not train_captions & test_captions


@pytest.mark.parametrize("sentences", [["...", "!"], ["A dog.", "two cats"]])
def test_captions_without_a_frequent_word_are_refused(sentences, tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    images = data.Captioned(np.zeros((2, 8, 8, 3), np.uint8), sentences, np.arange(2))
    monkeypatch.setattr(data, "load", lambda config: (images, images, ()))
    with pytest.raises(UserError, match=r"--least_count=2: no word occurs so often"):
        task.load_data(config(tmp_path))


def test_validation_images_are_held_out_of_the_training_images(tmp_path):
    made.photos(tmp_path / "photos", each=2)
    whole, test, _ = data.load(config(tmp_path))
    train, held_out, _ = data.load(config(tmp_path, validation_samples=4))
    assert (len(whole.images), len(test.images)) == (12, 4)
    assert (len(train.images), len(held_out.images)) == (8, 4)
    apart = {caption.tobytes() for caption in (*train.images, *held_out.images)}
    assert apart == {caption.tobytes() for caption in whole.images}
    with pytest.raises(UserError, match="--validation_samples=12 leaves none"):
        data.load(config(tmp_path, validation_samples=12))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loss": "infonce+walks"}, "--loss=infonce\\+walks: give one or more of pearson"),
        ({"loss": "hinge+hinge"}, "each once"),
        ({"pearson_weight": 2.0, "loss": "hinge"}, "--pearson_weight=2.0 has no effect"),
        ({"dataset": "coco_captions", "captions": "a.csv"}, "coco_captions brings its own"),
        ({"initial_run": "runs/a"}, "--initial_run=.*a has no effect"),
    ],
)
def test_settings_that_contradict_are_refused(changes, said, tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(UserError, match=said):
        config(tmp_path, **changes)


def test_a_data_set_has_to_be_named():
    with pytest.raises(UserError, match="--dataset is missing"):
        data.load(TrainConfig())


def test_ranks_are_those_of_the_first_right_one_and_ties_are_lost():
    images = np.eye(3)
    sentences = np.array([[1, 0, 0], [0, 0.9, 0.4], [0, 0.8, 0.6], [0, 0.1, 0.99]])
    numbers = np.array([0, 1, 2, 2])
    found = metrics.retrieval(images, sentences, numbers)
    assert found["image_to_sentence_recall_at_1"] == 1
    # The third sentence finds the second image first.
    assert found["sentence_to_image_recall_at_1"] == 0.75
    assert found["sentence_to_image_median_rank"] == 1
    alike = metrics.retrieval(np.ones((9, 1)), np.ones((9, 1)), np.arange(9))
    assert alike["image_to_sentence_recall_at_5"] == 0
    assert alike["sentence_to_image_median_rank"] == 9
    unknown = metrics.retrieval(np.full((9, 1), np.nan), np.ones((9, 1)), np.arange(9))
    assert unknown["image_to_sentence_recall_at_5"] == 0


@pytest.mark.parametrize(
    "text",
    [
        "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tx\n1\tA dog.\tA cat.\t3.5\tNEUTRAL\n",
        "main\tMSRvid\t2012\t0024\t3.500\tA dog.\tA cat.\n",
        "\tno\tscore\n3.5\tA dog.\tA cat.\n",
    ],
    ids=["sick", "sts_benchmark", "sts_task"],
)
def test_official_files_of_sentence_pairs_are_read(text, tmp_path):
    first, second, scores = sentence_pairs.read(written(tmp_path, text, "pairs.txt"))
    assert (first, second, list(scores)) == (["A dog."], ["A cat."], [3.5])


def test_another_file_of_sentence_pairs_is_refused(tmp_path):
    with pytest.raises(UserError, match="is no file of SICK or STS"):
        sentence_pairs.read(written(tmp_path, "a,b\n", "pairs.txt"))
    with pytest.raises(UserError, match="field larger than field limit"):
        sentence_pairs.read(written(tmp_path, "1\t" + "x" * 200_000, "pairs.txt"))


def test_sentences_of_the_same_words_are_alike_whatever_their_order():
    one, other = np.array([[2, 3, 3], [2, 3, 0]]), np.array([[3, 2, 3], [4, 0, 0]])
    np.testing.assert_allclose(sentence_pairs.word_cosines(one, other), [1, 0])
    assert metrics.agreement(np.array([0.1, 0.2, 0.9]), np.array([1, 2, 3]))["spearman"] == 1
    assert metrics.agreement(np.ones(3), np.array([1, 2, 3])) == {"spearman": 0, "pearson": 0}
    assert metrics.agreement(np.array([1, 2, 3]), np.ones(3)) == {"spearman": 0, "pearson": 0}


def test_files_of_scored_pairs_with_one_name_are_told_apart():
    assert reporting._named(["a/sts.tsv", "b.tsv"]) == {"sts": "a/sts.tsv", "b": "b.tsv"}
    alike = ["a/sts.tsv", "b/sts.tsv"]
    assert reporting._named(alike) == dict(zip(alike, alike, strict=True))


def test_a_score_that_is_no_number_is_refused(tmp_path):
    path = written(tmp_path, "nan\ta dog\ta cat\n1.0\ta dog\ta dog\n", "pairs.tsv")
    with pytest.raises(UserError, match="is no file of SICK or STS"):
        sentence_pairs.read(path)


def test_captions_of_tfds_go_with_their_images(tmp_path):
    import tensorflow_datasets as tfds

    def examples(count):
        for number in range(count):
            texts = [f"number {number}", f"the same {number}"][: 1 + number % 2]
            captions = [{"text": text, "id": place} for place, text in enumerate(texts)]
            image = np.full((6, 6, 3), 20 * number, np.uint8)
            yield number, {"image": image, "captions": captions}

    one = {"text": tfds.features.Text(), "id": np.int64}
    features = {
        "image": tfds.features.Image(shape=(6, 6, 3)),
        "captions": tfds.features.Sequence(one),
    }
    tfds.dataset_builders.store_as_tfds_dataset(
        name="pictures",
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={"train": list(examples(5)), "test": list(examples(3))},
        data_dir=str(tmp_path),
        disable_shuffling=True,
    )
    train, test, _ = data.load(config(tmp_path, dataset="pictures", data_dir=str(tmp_path)))
    assert train.captions[:4] == ["number 0", "number 1", "the same 1", "number 2"]
    assert list(train.numbers) == [0, 1, 1, 2, 3, 3, 4]
    np.testing.assert_array_equal(train.images[:, 0, 0, 0], 20 * np.arange(5))
    assert len(test.images) == 3


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"dog.png": "a photograph"}, "would replace .*dog.png, which no search has written"),
        ({"dog.csv": "path,label\n"}, "dog.csv exists, and this command has not written it"),
        ({"dog.csv": "path,label\n", "dog.png": "a photograph"}, "dog.csv exists"),
    ],
)
def test_a_search_replaces_no_file_that_no_search_has_written(own, said, tmp_path):
    for name, text in own.items():
        written(tmp_path, text, name)
    settings = SearchConfig(
        sentence="a dog", logdir="none", images=str(tmp_path), output=str(tmp_path / "dog.csv")
    )
    with pytest.raises(UserError, match=said):
        searching.search(settings)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == own


def test_a_search_replaces_what_an_earlier_one_found(tmp_path):
    written(tmp_path, "path,cosine\n", "dog.csv")
    written(tmp_path, "a sheet", "dog.png")
    settings = SearchConfig(
        sentence="a dog", logdir="none", images="none", output=str(tmp_path / "dog.csv")
    )
    # Only then the run is looked for.
    with pytest.raises(UserError, match="none"):
        searching.search(settings)


def test_a_new_image_of_more_than_8_bits_is_as_dark_as_among_those_of_the_training(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(np.full((8, 8), 4095, "uint16")).save(folder / "a.png")
    written(folder, "image,caption\na.png,a square\n")
    preparation = task.preparation(config(tmp_path), {"image_shape": (8, 8, 1)})
    half = tmp_path / "half.png"
    Image.fromarray(np.full((8, 8), 2047, "uint16")).save(half)
    assert np.all(preparation.of_file(half) == 127)
