import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.parity.statements import first_word, normalise

INSERT = "INSERT INTO users (created_at, email, name, updated_at) VALUES (?, ?, ?, ?)"

# As Django 5.2 with mysqlclient and Tortoise 1.1 with aiomysql sent them.
DJANGO_INSERT = (
    "INSERT INTO `users` (`name`, `email`, `created_at`, `updated_at`) VALUES ('Person 1', 'it\\'s@example.com', "
    "'2026-11-23 22:55:01.123456', '2026-11-23 22:55:01.123456')"
)
TORTOISE_INSERT = (
    "INSERT INTO `users` (`created_at`,`email`,`name`,`updated_at`) VALUES ('2026-11-23 22:55:01.123456',"
    "'a@example.com','Person 1','2026-11-23 22:55:01.123456')"
)


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        (DJANGO_INSERT, INSERT),
        (TORTOISE_INSERT, INSERT),
        (DJANGO_INSERT + " RETURNING `users`.`id`", INSERT),
        (DJANGO_INSERT + " RETURNING `users`.`name`", INSERT + " RETURNING name"),
        (
            "UPDATE `users` SET `updated_at` = '2026-01-01', `name` = 'x' WHERE `users`.`id` = 5",
            "UPDATE users SET name = ?, updated_at = ? WHERE id = ?",
        ),
        ("UPDATE `users` SET `name`='x' WHERE `id`=5", "UPDATE users SET name = ? WHERE id = ?"),
        ("DELETE FROM `users` WHERE `users`.`id` IN (1)", "DELETE FROM users WHERE id = ?"),
        ("DELETE FROM `users` WHERE `id`=-1", "DELETE FROM users WHERE id = ?"),
        ("DELETE FROM `users` WHERE `users`.`id` IN (1, 2, 3)", "DELETE FROM users WHERE id IN (? x 3)"),
        (
            "SELECT (1) AS `a` FROM `users` `U0` WHERE `U0`.`id` = 1 LIMIT 1",
            "SELECT (?) AS a FROM users WHERE id = ? LIMIT ?",
        ),
        ("insert into users (b, a) values (1, 2), (3, 4)", "INSERT INTO users (a, b) VALUES (?, ?) x 2"),
        ("INSERT INTO users (b, a) VALUES (NULL, NOW(6))", "INSERT INTO users (a, b) VALUES (NOW(6), NULL)"),
        ("UPDATE users SET a = CURRENT_TIMESTAMP(6)", "UPDATE users SET a = CURRENT_TIMESTAMP(6)"),
        (
            "SELECT u.id FROM users u JOIN orders o ON o.user_id = u.id",
            "SELECT u.id FROM users AS u JOIN orders AS o ON o.user_id = u.id",
        ),
        ("CALL  reset_seed()", "CALL reset_seed()"),
        ("no\n  sql at 'all'", "no sql at 'all'"),
        ("DELETE FROM users WHERE (", "DELETE FROM users WHERE ("),
        ("", ""),
    ],
)
def test_data_statements_have_one_form(sql, text):
    assert normalise(sql) == ("data", text)


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("BEGIN", "BEGIN"),
        ("start  transaction", "START TRANSACTION"),
        ("commit;", "COMMIT"),
        ("SET autocommit=0", "SET AUTOCOMMIT = 0"),
        ("set session transaction read  only", "SET SESSION TRANSACTION READ ONLY"),
        ("SAVEPOINT `s140_x1`", "SAVEPOINT ?"),
        ("RELEASE SAVEPOINT `s140_x1`", "RELEASE SAVEPOINT ?"),
        ("SELECT @@SQL_AUTO_IS_NULL", "SELECT @@SQL_AUTO_IS_NULL"),
        ("SELECT 1", "SELECT 1"),
    ],
)
def test_control_keeps_its_own_name(sql, text):
    assert normalise(sql) == ("control", text)


def test_values_stay_told_apart_from_columns():
    assert normalise("UPDATE users SET a = b WHERE id = 1") != normalise("UPDATE users SET a = 1 WHERE id = 1")
    assert normalise("DELETE FROM users WHERE id = 1") != normalise("DELETE FROM orders WHERE id = 1")
    assert normalise("DELETE FROM users WHERE id IN (1, 2)") != normalise("DELETE FROM users WHERE id IN (1, 2, 3)")


def test_first_word_is_behind_comments_and_brackets():
    assert first_word("/* who */ (select 1)") == "SELECT"
    assert first_word("-- who\n# why\n update t set a = 1") == "UPDATE"


names = st.lists(st.sampled_from(["name", "email", "stock", "status", "quantity"]), min_size=1, unique=True)
values = st.one_of(
    st.integers().map(str),
    st.text(st.characters(exclude_characters="\\'\0", exclude_categories=["Cs"])).map(lambda text: f"'{text}'"),
)


@given(names, st.data())
def test_neither_order_of_columns_nor_values_matter(columns, data):
    shuffled = data.draw(st.permutations(columns))
    texts = []
    for order in (columns, shuffled):
        row = [data.draw(values) for _ in order]
        texts.append(normalise(f"INSERT INTO users ({', '.join(order)}) VALUES ({', '.join(row)})"))
        assignments = ", ".join(f"`{name}` = {value}" for name, value in zip(order, row, strict=True))
        texts.append(normalise(f"UPDATE users SET {assignments} WHERE `users`.`id` = {data.draw(st.integers())}"))
    assert texts[:2] == texts[2:]


@given(st.text())
def test_no_text_is_dropped_or_fails(sql):
    kind, text = normalise(sql)
    assert kind in ("data", "control")
    assert bool(text) == bool(sql.strip().strip(";").strip()) or text == ";"


@given(st.integers(1, 30))
def test_a_list_keeps_its_length(count):
    text = normalise(f"DELETE FROM users WHERE id IN ({', '.join(map(str, range(count)))})").text
    assert text == f"DELETE FROM users WHERE id {'= ?' if count == 1 else f'IN (? x {count})'}"
