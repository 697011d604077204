# frozen_string_literal: true

require 'json'
require 'mysql2'
require 'openssl'

# Takes orders: each is some products, out of stock, in one transaction.
class Shop
  PRODUCTS = (1..500).to_a.freeze
  LINES = 20
  STOCK = 1_000_000

  def call(request)
    case "#{request['REQUEST_METHOD']} #{request['PATH_INFO']}"
    when 'GET /health' then answer(200, status: 'ok')
    when 'POST /orders' then answer(201, order)
    when 'POST /reset' then answer(200, reset)
    else answer(404, error: 'not found')
    end
  end

  private

  def order
    products = PRODUCTS.sample(LINES)
    transaction do
      prices = prices_of(products)
      # Before the lines, whose foreign keys lock the products, too, but less: two orders would wait for each other.
      database.query("UPDATE products SET stock = stock - 1 WHERE id IN (#{products.join(', ')})")
      database.query("INSERT INTO orders (total_cents) VALUES (#{prices.values.sum})")
      id = database.last_id
      lines = prices.map { |product, price| "(#{id}, #{product}, #{price})" }
      database.query("INSERT INTO order_lines (order_id, product_id, price_cents) VALUES #{lines.join(', ')}")
      { order: id, total_cents: prices.values.sum, code: code_of(id) }
    end
  end

  def prices_of(products)
    rows = database.query("SELECT id, price_cents FROM products WHERE id IN (#{products.join(', ')})")
    rows.to_h { |row| row.values_at('id', 'price_cents') }
  end

  # With which a customer asks for the order later; so slow that nobody tries out many.
  def code_of(order)
    OpenSSL::KDF.pbkdf2_hmac(order.to_s, salt: 'shop', iterations: 5_000, length: 8, hash: 'SHA256').unpack1('H*')
  end

  # Back to what schema.sql made.
  def reset
    transaction do
      database.query('DELETE FROM order_lines')
      database.query('DELETE FROM orders')
      database.query("UPDATE products SET stock = #{STOCK} WHERE stock <> #{STOCK}")
      { status: 'ok' }
    end
  end

  def transaction
    database.query('BEGIN')
    result = yield
    database.query('COMMIT')
    result
  rescue StandardError
    database.query('ROLLBACK')
    raise
  end

  # A connection for each thread, kept.
  def database
    Thread.current[:database] ||= Mysql2::Client.new(
      host: ENV.fetch('DATABASE_HOST'),
      port: Integer(ENV.fetch('DATABASE_PORT')),
      username: ENV.fetch('DATABASE_USER'),
      password: ENV.fetch('DATABASE_PASSWORD'),
      database: ENV.fetch('DATABASE_NAME')
    )
  end

  def answer(status, body)
    [status, { 'content-type' => 'application/json' }, [JSON.generate(body)]]
  end
end
