CREATE TABLE products (
    id INT PRIMARY KEY,
    price_cents INT NOT NULL,
    stock INT NOT NULL
);

CREATE TABLE orders (
    id BIGINT PRIMARY KEY AUTO_INCREMENT,
    total_cents INT NOT NULL,
    ordered_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
);

CREATE TABLE order_lines (
    order_id BIGINT NOT NULL,
    product_id INT NOT NULL,
    price_cents INT NOT NULL,
    PRIMARY KEY (order_id, product_id),
    FOREIGN KEY (order_id) REFERENCES orders (id),
    FOREIGN KEY (product_id) REFERENCES products (id)
);

INSERT INTO products (id, price_cents, stock)
WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 500)
SELECT number, 100 + number, 1000000 FROM numbers;
