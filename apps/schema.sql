-- The tables of every backend, and the procedure that restores their seeded state. Loaded into each backend's own
-- database; runs on MySQL 8.4 and later and on MariaDB 10.11.

CREATE TABLE users (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    email VARCHAR(254) NOT NULL UNIQUE,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE products (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    price_cents INT NOT NULL,
    stock INT NOT NULL,
    created_at DATETIME(6) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE orders (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id BIGINT NOT NULL,
    status VARCHAR(20) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    FOREIGN KEY (user_id) REFERENCES users (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE order_items (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    order_id BIGINT NOT NULL,
    product_id BIGINT NOT NULL,
    quantity INT NOT NULL,
    FOREIGN KEY (order_id) REFERENCES orders (id),
    FOREIGN KEY (product_id) REFERENCES products (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

DELIMITER //
-- 100 users, 100 products, 100 orders of 1 to 3 items, all with fixed ids and timestamps. DELETE and not TRUNCATE: it
-- needs no DROP privilege, is one transaction, and is as quick on tables this small.
CREATE PROCEDURE reset_seed()
BEGIN
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        ROLLBACK;
        RESIGNAL;
    END;
    START TRANSACTION;

    DELETE FROM order_items;
    DELETE FROM orders;
    DELETE FROM products;
    DELETE FROM users;

    INSERT INTO users (id, name, email, created_at, updated_at)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100)
    SELECT n, CONCAT('User ', n), CONCAT('user', n, '@example.com'), '2026-01-01', '2026-01-01' FROM numbers;

    INSERT INTO products (id, name, price_cents, stock, created_at)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100)
    SELECT n, CONCAT('Product ', n), 100 * n - 1, 1000, '2026-01-01' FROM numbers;

    INSERT INTO orders (id, user_id, status, created_at)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100)
    SELECT n, n, ELT(1 + n % 3, 'new', 'paid', 'shipped'), '2026-01-01' FROM numbers;

    INSERT INTO order_items (id, order_id, product_id, quantity)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 3)
    SELECT 3 * orders.id + n, orders.id, 1 + (orders.id + 33 * n) % 100, n FROM orders JOIN numbers ON n <= 1 + orders.id % 3;

    COMMIT;
END//
DELIMITER ;

CALL reset_seed();
